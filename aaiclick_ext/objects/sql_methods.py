"""What Ibis asks of a backend for SQL given as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops

from aaiclick_ext.errors import UnsupportedTypeError

if TYPE_CHECKING:
    import ibis.expr.schema as sch
    import ibis.expr.types as ir


class SQLMethods:
    """The part of our backend that takes SQL as text."""

    def sql(
        self: Any,
        query: str,
        /,
        *,
        schema: sch.IntoSchema | None = None,
        dialect: str | None = None,
    ) -> ir.Table:
        """Return a View of one SELECT, as `DataContext.sql` does: it keeps what it names."""
        from aaiclick_ext.objects.adoption import sql_view
        from aaiclick_ext.objects.attempts import attempted
        from aaiclick_ext.objects.catalog import Catalog

        query = query if dialect is None else self._transpile_sql(query, dialect=dialect)
        given = None if schema is None else ibis.schema(schema)
        with attempted(self, "sql", sql_template=query):
            return sql_view(self, Catalog(self), query, given)

    def _get_sql_string_view_schema(
        self: Any, *, name: str, table: ir.Table, query: str
    ) -> sch.Schema:
        """Serve ``Table.sql`` of tables that are plain Ibis, which cannot keep what they name."""
        from aaiclick_ext.objects.sql_names import names_tables_of_ours

        meant = {name, *(leaf.name for leaf in table.op().find(ops.DatabaseTable))}
        if named := names_tables_of_ours(self, query, meant=meant):
            raise UnsupportedTypeError(
                f"the SQL names {', '.join(named)}, which a plain Ibis table cannot keep; write "
                "aai.view(table).alias(…).sql(…)"
            )
        text = self.compiler.add_query_to_expr(name=name, table=table, query=query)
        schema: sch.Schema = self._get_schema_using_query(text)
        return schema
