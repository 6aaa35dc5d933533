"""Ibis's own methods that write a file, done as `View.export` does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ibis.backends import BaseBackend

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    import ibis.expr.types as ir


class FileMethods(BaseBackend):  # type: ignore[misc]
    """What of a backend writes files: whole or not at all, one event each."""

    def to_csv(self, expr: ir.Table, /, path: str | PathLike[str], **keywords: Any) -> None:
        """Write CSV as `View.export` does, or as `pyarrow.csv` does where it is given options."""
        if set(keywords) - {"params"}:
            super().to_csv(expr, path, **keywords)
        else:
            self._export(expr, path, ".csv", **keywords)

    def to_parquet(self, expr: ir.Table, /, path: str | PathLike[str], **keywords: Any) -> None:
        """Write Parquet as `View.export` does, or with the options of `pyarrow.parquet`."""
        if set(keywords) - {"params"}:
            super().to_parquet(expr, path, **keywords)
        else:
            self._export(expr, path, ".parquet", **keywords)

    def to_json(self, expr: ir.Table, /, path: str | PathLike[str], **keywords: Any) -> None:
        """Write an array of JSON objects, as `View.export` does."""
        self._export(expr, path, ".json", **keywords)

    def _export(
        self,
        expr: ir.Table,
        path: str | PathLike[str],
        suffix: str,
        *,
        params: Mapping[Any, Any] | None = None,
    ) -> None:
        from aaiclick_ext.objects.backend import Backend
        from aaiclick_ext.objects.exports import write_file

        assert isinstance(self, Backend)
        write_file(self, expr, path, suffix, params=params)
