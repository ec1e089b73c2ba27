"""The lake as a database: schemas and tables under the original's names, read by DuckDB.

Which files make which table is said by the services that write them (``LakeTables``).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from optimus.errors import UsageError
from optimus.outputs.staging import make_folder

MEMORY = "1GB"
LIST_OF_TABLES = re.compile("information_schema|duckdb_|show |describe ")
FIELD = re.compile(r"\{(\w+)\}")
NAME_OF_FILE = "regexp_extract(filename, '([^/]+)[.]parquet$', 1)"
VALUES_OF_DELIVERY = re.compile(r"delivered=([^/]+)\.parquet$")


@dataclass(frozen=True)
class LakeTables:
    """Lake files that are seen as tables.

    Attributes:
        pattern: path below the lake; ``{name}`` stands for one folder or file name,
            ``**`` for any folders.
        schema: name of the schema; may use the pattern's fields.
        table: name of the table; may use the pattern's fields.
        columns: what the table shows; all columns unless said otherwise.
        name_column: a column to put first, that says which file a row is from (its name without
            ending).
        newest: the table is the newest file only; all of them are in the table of the same
            name in the schema ``<schema>_history``.
        empty: its columns; a table that has one name is there also while there is no file.
        about: one sentence for the documentation.
    """

    pattern: str
    schema: str
    table: str
    about: str
    columns: str = "*"
    name_column: str | None = None
    newest: bool = False
    empty: pa.Schema | None = None


@dataclass(frozen=True)
class Table:
    """One table of the catalog and the files it is made of."""

    schema: str
    name: str
    files: tuple[Path, ...]
    columns: str = "*"
    name_column: str | None = None
    empty: pa.Schema | None = None

    @property
    def qualified(self) -> str:
        """Schema and name, quoted."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    def select(self) -> str:
        """SQL that reads the table's files."""
        named = f"{{}} AS {quote(self.name_column)}, " if self.name_column else ""
        if not self.files:
            columns = named.format("NULL::VARCHAR") + self.columns
            return f"SELECT {columns} FROM ({_no_rows(self.empty)})"  # noqa: S608 - quoted
        columns = named.format(NAME_OF_FILE) + self.columns
        files = ", ".join(literal(str(file)) for file in self.files)
        return (
            f"SELECT {columns} FROM read_parquet([{files}], union_by_name = true, "  # noqa: S608 - quoted
            "hive_partitioning = false)"
        )


class Catalog:
    """All tables that the lake holds now."""

    def __init__(self, lake: Path, declared: Iterable[LakeTables]) -> None:
        """List the lake.

        Args:
            lake: its folder; need not exist yet.
            declared: what the services say their files are.
        """
        self.lake = lake.resolve()
        self._tables = {
            (table.schema, table.name): table
            for tables in declared
            for table in _found(self.lake, tables)
        }

    def tables(self) -> list[Table]:
        """Every table, by schema and name."""
        return [self._tables[key] for key in sorted(self._tables)]

    def in_schemas(self, *schemas: str) -> list[Table]:
        """The tables of these schemas: to open all that there are takes seconds."""
        return [table for table in self.tables() if table.schema in schemas]

    def table(self, schema: str, name: str) -> Table | None:
        """One table, or None while the lake has no file of it."""
        return self._tables.get((schema, name))

    def connect(
        self, spill: Path, tables: Iterable[Table] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """A connection with tables as views, for trusted SQL.

        Args:
            spill: folder for what does not fit into memory.
            tables: those to open, which costs a moment each; all when None.
        """
        return self._connection(spill, self.tables() if tables is None else list(tables))

    def connect_confined(self, sql: str, spill: Path) -> duckdb.DuckDBPyConnection:
        """A connection that reaches the lake's files and no others.

        What it may do with them is for ``check_one_select`` to say, which comes first.

        Args:
            sql: the statement it is for: only the schemas it may mean are opened.
            spill: folder for what does not fit into memory.
        """
        connection = self._connection(spill, self._mentioned(sql))
        connection.execute(f"SET allowed_directories = [{literal(str(self.lake) + '/')}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def _connection(self, spill: Path, tables: Sequence[Table]) -> duckdb.DuckDBPyConnection:
        make_folder(spill)
        connection = duckdb.connect()
        connection.execute(f"SET temp_directory = {literal(str(spill))}")
        connection.execute(f"SET memory_limit = {literal(MEMORY)}")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET autoinstall_known_extensions = false")
        for schema in {table.schema for table in tables}:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        for table in tables:
            connection.execute(f"CREATE VIEW {table.qualified} AS {table.select()}")
        return connection

    def _mentioned(self, sql: str) -> list[Table]:
        """Opening thousands of tables takes seconds: open the schemas that the SQL names."""
        folded = sql.casefold()
        if LIST_OF_TABLES.search(folded):
            return self.tables()
        named = [table for table in self.tables() if table.schema.casefold() in folded]
        return named or self.tables()


def check_one_select(sql: str) -> None:
    """Let through one statement that only reads.

    Raises:
        UsageError: it is something else, or no SQL.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(f"This is no SQL that DuckDB understands: {error}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError("One SELECT statement is allowed; the lake is written by services only.")


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def _found(lake: Path, declared: LakeTables) -> Iterator[Table]:
    groups: dict[tuple[str, str], list[Path]] = {}
    expression = _expression(declared.pattern)
    for path in sorted(lake.glob(FIELD.sub("*", declared.pattern))):
        match = expression.fullmatch(path.relative_to(lake).as_posix())
        if match and not path.name.startswith("."):
            names = _filled(declared, match.groupdict())
            groups.setdefault(names, []).append(path)
    has_one_name = not FIELD.search(declared.schema + declared.table)
    if not groups and declared.empty is not None and has_one_name:
        groups[declared.schema, declared.table] = []
    for (schema, name), files in groups.items():
        if not declared.newest:
            yield Table(
                schema, name, tuple(files), declared.columns, declared.name_column, declared.empty
            )
            continue
        yield Table(schema, name, (max(files, key=_delivered),), declared.columns)
        history = f"*, {_delivery_column()}"
        yield Table(f"{schema}_history", name, tuple(files), history)


def _filled(declared: LakeTables, fields: Mapping[str, str]) -> tuple[str, str]:
    return declared.schema.format(**fields), declared.table.format(**fields)


def _delivered(path: Path) -> str:
    found = VALUES_OF_DELIVERY.search(path.as_posix())
    return found.group(1) if found else ""


def _delivery_column() -> str:
    return "regexp_extract(filename, 'delivered=([^/]+)[.]parquet$', 1)::DATE AS delivered"


def _expression(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+?)", escaped))


def _no_rows(schema: pa.Schema | None) -> str:
    columns = ", ".join(
        f"NULL::{sql_type(field.type)} AS {quote(field.name)}" for field in schema or ()
    )
    return f"SELECT {columns} WHERE false"


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's name of an Arrow type."""
    if pa.types.is_dictionary(kind):
        return sql_type(kind.value_type)
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    for test, name in (
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_integer, "BIGINT"),
        (pa.types.is_floating, "DOUBLE"),
        (pa.types.is_date, "DATE"),
    ):
        if test(kind):
            return name
    return "VARCHAR"
