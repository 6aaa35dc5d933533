"""The methods of a `DataContext` that make Objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from os import PathLike

    from aaiclick_ext.lifecycle import Scope
    from aaiclick_ext.objects import Object
    from aaiclick_ext.objects.files import Kind
    from aaiclick_ext.opening import Opened


class ObjectMaking(ABC):
    """Makes Objects of values, schemas, files and other Objects."""

    @property
    @abstractmethod
    def _opened(self) -> Opened:
        """The parts of the context; waits until it is open."""

    def create_object_from_value(
        self,
        value: Any,
        *,
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "append", "fail"] = "replace",
        objects: bool | Collection[str] = False,
    ) -> Object:
        """Make a table of a Python value. Runs two statements.

        Parameters
        ----------
        value
            A scalar, list, tuple, range, dict of scalars, dict of lists or arrays, list of dicts
            or dataclasses, NumPy array, pandas DataFrame or Series, polars frame, Arrow table or
            record batches. Nulls stay null and NaN stays NaN, except that a NaN in a pandas
            column of NumPy floats is null: there it marks what is missing. An index that says
            something is refused, not lost.
        name
            A name makes the object outlive its variables: until the kernel session ends with
            ``scope="session"``, until it is deleted with ``scope="global"``, the default.
        if_exists
            What to do where the name is taken. Variables bound to a replaced object keep it.
        objects
            A column all of whose values are of types that ClickHouse has nothing for (sets,
            functions, models, figures, instances of any class) holds references to them, see
            below; other columns that no type can hold are refused. With True those too hold
            references: values of several types, integers of more than 64 bits, complex numbers,
            enums, null lists. With names of columns these do, whatever is in them.

        Returns
        -------
        Object
            A scalar or an array has one column, ``value``.

        Notes
        -----
        Python objects stay in the kernel, and the column refers to them. Fetching (`data`,
        `to_pandas`, `to_polars`) gives the same objects back; filters, joins, sorts by other
        columns, unions, `copy`, `concat` and `insert` carry them; ``x.m == model``, groups and
        joins on such a column compare which object it is. They are let go with the last table that
        refers to them; one that itself refers to that table keeps both until the context closes.
        They end with the kernel, and cannot be exported or computed with: that raises.

        Raises
        ------
        UnsupportedTypeError, ValueRangeError, SchemaError
            For what cannot be kept as it is.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.making import object_from_value

        return opened.catalog.make(
            name,
            scope,
            if_exists,
            lambda s, n: object_from_value(opened.backend, value, scope=s, name=n, objects=objects),
        )

    def create_object(
        self,
        schema: Any,
        *,
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "fail"] = "replace",
    ) -> Object:
        """Make an empty table. Runs one statement.

        Parameters
        ----------
        schema
            An Ibis schema, an Arrow schema, or a mapping of column to ClickHouse type.
        """
        from aaiclick_ext.errors import SettingsError

        if if_exists not in ("replace", "fail"):
            raise SettingsError(f"if_exists is {if_exists!r}; it can be replace or fail")
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.making import object_from_schema

        return opened.catalog.make(
            name,
            scope,
            if_exists,
            lambda s, n: object_from_schema(opened.backend, schema, scope=s, name=n),
        )

    def read_parquet(
        self,
        path: str | PathLike[str],
        *,
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "append", "fail"] = "replace",
    ) -> Object:
        """Make a table of Parquet files, with the types that the files have.

        For `path`, `name`, `scope` and `if_exists` see `read_csv`.

        Raises
        ------
        UnsupportedTypeError, ValueRangeError
            For what no ClickHouse type can hold, such as a null list.
        """
        return self._read(path, "parquet", None, name, scope, if_exists)

    def read_csv(
        self,
        path: str | PathLike[str],
        *,
        schema: Mapping[str, str] | None = None,
        delimiter: str | None = None,
        header: bool = True,
        names: Sequence[str] | None = None,
        null_values: Sequence[str] = ("",),
        encoding: str = "utf-8",
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "append", "fail"] = "replace",
    ) -> Object:
        """Make a table of CSV files. Nothing is left behind where that fails.

        The types of the columns are found from all rows, and no value changes by them: ``007``
        stays text, a date has to exist. Files of one call need the same columns, in any order.

        Parameters
        ----------
        path
            A path of this process's machine, a glob (its files in the order of their names), or an
            http(s) URL. ``.gz``, ``.zst``, ``.bz2`` and ``.xz`` are decompressed, of a ``.zip``
            all members are read. A server gets the rows from here.
        schema
            Column to ClickHouse type, for the columns whose type is not to be found out. Values
            have to fit exactly.
        delimiter
            One character. By default the first of comma, tab, semicolon and ``|`` that the first
            line has.
        header
            Whether the first line names the columns; without, they are ``c1``, ``c2``…
        names
            Names of the columns, in place of the first line's.
        null_values
            Cells that are null. A cell in quotes is text, ``""`` the empty one; in a column of
            numbers or dates it is null all the same.
        encoding
            Of the text, as Python calls it.
        name, scope, if_exists
            As for `create_object_from_value`.

        Raises
        ------
        MissingFileError, FileError, FileContentError
            If there is no such file, it cannot be reached, or is not CSV; a row with too many
            cells, or too few, is not.
        SchemaError
            If names are missing or there twice, or files have different columns.
        ValueRangeError
            If a value is not of the type that `schema` gives.
        """
        options = {
            "delimiter": delimiter,
            "header": header,
            "names": names,
            "null_values": null_values,
            "encoding": encoding,
        }
        return self._read(path, "csv", schema, name, scope, if_exists, options)

    def read_json(
        self,
        path: str | PathLike[str],
        *,
        schema: Mapping[str, str] | None = None,
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "append", "fail"] = "replace",
    ) -> Object:
        """Make a table of JSON files: an array of objects, or one object after another.

        A key that an object lacks is null. Objects inside become tuples, arrays become arrays;
        texts that all are dates or times become such. For the parameters see `read_csv`.

        Raises
        ------
        UnsupportedTypeError
            If a column has values of several types, or a null or missing array.
        """
        return self._read(path, "json", schema, name, scope, if_exists)

    def _read(
        self,
        path: str | PathLike[str],
        kind: Kind,
        schema: Mapping[str, str] | None,
        name: str | None,
        scope: Scope | str | None,
        if_exists: Literal["replace", "append", "fail"],
        options: Mapping[str, Any] | None = None,
    ) -> Object:
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.files import object_from_file

        def build(scope: Scope, name: str | None) -> Object:
            return object_from_file(
                opened.backend, path, kind, schema=schema, scope=scope, name=name, **(options or {})
            )

        return opened.catalog.make(name, scope, if_exists, build)

    def concat(self, *sources: Any) -> Object:
        """Make one table of the rows of several sources. Runs one statement."""
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.making import concat

        listed = sources[0] if len(sources) == 1 and isinstance(sources[0], list) else sources
        return concat(opened.backend, list(listed))
