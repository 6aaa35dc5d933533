def sql_column_edges(*a, **k): return None
