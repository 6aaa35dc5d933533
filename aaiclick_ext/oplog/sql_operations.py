"""Operations that SQL given as text does to tables that are not ours, as the log calls them."""

from __future__ import annotations

from aaiclick_ext.oplog.graph import CREATE_VIEW, DROP_TABLE

INSERT = "insert"
CREATE_TABLE = "create_table"

_OPERATIONS = {
    ("CREATE", "TABLE"): CREATE_TABLE,
    ("REPLACE", "TABLE"): CREATE_TABLE,
    ("CREATE", "VIEW"): CREATE_VIEW,
    ("DROP", "TABLE"): DROP_TABLE,
    ("DROP", "TABLES"): DROP_TABLE,
    ("DROP", "VIEW"): DROP_TABLE,
    ("INSERT", "TABLE"): INSERT,
    ("DELETE", "TABLE"): "delete",
    ("UPDATE", "TABLE"): "update",
}

CHANGES = frozenset({INSERT, CREATE_TABLE, "delete", "update", "truncate", "alter_table"}) | {
    "rename_table",
    "exchange_tables",
}
"""Operations after which what was made of a table before would be another."""


def operation_of(verb: str, what: str) -> str:
    """Return the operation of a statement, by its first word and the kind of thing that it does.

    Examples
    --------
    >>> operation_of("CREATE", "TABLE"), operation_of("RENAME", "TABLE")
    ('create_table', 'rename_table')
    >>> operation_of("TRUNCATE", "T"), operation_of("SYSTEM", "FLUSH")
    ('truncate', 'system')
    """
    known = _OPERATIONS.get((verb, what))
    if known is not None:
        return known
    kinds = ("TABLE", "TABLES", "VIEW", "DICTIONARY", "DICTIONARIES", "DATABASE", "FUNCTION")
    has_kind = what in kinds and verb != "TRUNCATE"
    return f"{verb}_{what}".lower() if has_kind else verb.lower()
