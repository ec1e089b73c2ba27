"""What the account on the MySQL server may do: not read from its grants, but tried.

The trial is in a database of its own, which is dropped again. An account that may not make one
is tried in the databases that it has to use, with a table that is dropped again.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

from optimus.errors import OutputUnavailableError
from optimus.findings import Found, bad, good, look
from optimus.servers import SqlServer

THING = "SQL_HOST"
SHARED_DATABASES = ("api", "Person_Course", "Course_Event", "Daily_Count", "Email_CRM")
COURSES_TRIED = 20

NEEDED = (
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "CREATE VIEW",
)
_DROP = "DROP TABLE IF EXISTS {0}, {0}_renamed"
# The table has no key at first: there are servers that take none without.
_STEPS = (
    ("CREATE", "CREATE TABLE {0} (word text) ENGINE=InnoDB"),
    ("INSERT", "INSERT INTO {0} VALUES ('word')"),
    ("SELECT", "SELECT COUNT(*) FROM {0}"),
    ("UPDATE", "UPDATE {0} SET word = 'other'"),
    ("DELETE", "DELETE FROM {0}"),
    ("ALTER", "ALTER TABLE {0} ADD COLUMN id int NOT NULL PRIMARY KEY"),
    ("INDEX", "CREATE INDEX words ON {0} (word(10))"),
    ("CREATE VIEW", "CREATE VIEW {0}_view AS SELECT 1 AS one"),
    ("ALTER", "RENAME TABLE {0} TO {0}_renamed"),
)
# Rights are looked at before names, so these tell the right and never make anything.
_WITHOUT_TRACE = {
    "CREATE": "CREATE TABLE {0} (word int, word int)",
    "CREATE VIEW": "CREATE VIEW {0}_view AS SELECT 1 AS one, 2 AS one",
}
_DENIED = {1044, 1142, 1143, 1227}
_NO_SUCH_DATABASE = 1049
_POWERS = {"ALL PRIVILEGES", "SUPER", "FILE"}


class SqlTalk:
    """A connection for questions; whatever fails is a sentence. Usable in a ``with`` block."""

    def __init__(self, server: SqlServer) -> None:
        """Connect.

        Raises:
            OutputUnavailableError: the server cannot be reached or does not let us in.
        """
        self.server = server
        self._connection = server.connect()

    @property
    def is_open(self) -> bool:
        """Whether the connection was not lost yet."""
        return bool(self._connection.open)

    def rows(self, statement: str, *values: object) -> tuple[tuple[Any, ...], ...]:
        """Run one statement, and give the rows that it answers with.

        Raises:
            OutputUnavailableError: the server does not do it.
        """
        with self.server.errors(), self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return tuple(cursor.fetchall())

    def is_denied(self, statement: str) -> bool:
        """Run a statement, and say whether the account lacks the right to it.

        Raises:
            OutputUnavailableError: the server does not do it for another reason.
        """
        try:
            self.rows(statement)
        except OutputUnavailableError as error:
            if _code(error) not in _DENIED:
                raise
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OutputUnavailableError), self.server.errors():
            self._connection.close()


def rights_findings(talk: SqlTalk, courses: Iterable[str]) -> Iterator[Found]:
    """Try all that a run does.

    Args:
        talk: a connection.
        courses: databases of courses, for an account that may not make just any.

    Raises:
        OutputUnavailableError: something else than a right is missing.
    """
    [[current]] = talk.rows("SELECT CURRENT_USER()")
    account = quoted_account(str(current))
    missing = _in_a_database_of_its_own(talk)
    if missing is None:
        yield _in_given_databases(talk, account, list(courses))
    elif missing:
        lacking = f"{account} may make databases, but lacks {', '.join(missing)} in them."
        yield bad(THING, f"{lacking} {_grant(account)}")
    else:
        yield _enough(talk, account)


def quoted_account(current: str) -> str:
    """Write an account as GRANT wants it: ``'name'@'host'``."""
    parts = current.rpartition("@")[::2]
    return "@".join("'" + part.replace("\\", r"\\").replace("'", "''") + "'" for part in parts)


def missing_rights(talk: SqlTalk, database: str, table: str) -> list[str]:
    """Try what a run does with tables and views; nothing of it stays.

    Args:
        talk: a connection.
        database: where; it need not be there.
        table: name for a table that nobody has.

    Returns:
        The rights that the account lacks there.

    Raises:
        OutputUnavailableError: something else than a right is missing.
    """
    name = f"`{database}`.`{table}"
    if talk.is_denied(_statement(_DROP, name)):
        steps = [(right, _WITHOUT_TRACE.get(right, step)) for right, step in _STEPS]
        return _refused(talk, name, steps, can_drop=False)
    try:
        return _refused(talk, name, _STEPS, can_drop=True)
    finally:
        for statement in ("DROP VIEW IF EXISTS {0}_view", _DROP):
            with suppress(OutputUnavailableError):
                talk.rows(_statement(statement, name))


def _refused(
    talk: SqlTalk, name: str, steps: Iterable[tuple[str, str]], *, can_drop: bool
) -> list[str]:
    missing = set() if can_drop else {"DROP"}
    # After a step that did nothing the others miss its table, but are still denied or not.
    is_incomplete = not can_drop
    for right, step in steps:
        try:
            talk.rows(_statement(step, name))
        except OutputUnavailableError as error:
            if _code(error) in _DENIED:
                missing.add(right)
            elif not talk.is_open or not (is_incomplete or _code(error) == _NO_SUCH_DATABASE):
                raise
            is_incomplete = True
    return [right for right in NEEDED if right in missing]


def _in_a_database_of_its_own(talk: SqlTalk) -> list[str] | None:
    """Which rights are missing in a new database; None when none can be made."""
    name = f"optimus_check_{secrets.token_hex(6)}"
    # What could not be dropped again is not made.
    if talk.is_denied(f"DROP DATABASE IF EXISTS {name}"):
        return None
    if talk.is_denied(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"):
        return None
    try:
        return missing_rights(talk, name, "trial")
    finally:
        with suppress(OutputUnavailableError):
            talk.rows(f"DROP DATABASE IF EXISTS {name}")


def _in_given_databases(talk: SqlTalk, account: str, courses: list[str]) -> Found:
    table = f"optimus_check_{secrets.token_hex(6)}"
    databases = (*SHARED_DATABASES, *courses[:COURSES_TRIED])
    found = {database: missing_rights(talk, database, table) for database in databases}
    lacking = {database: rights for database, rights in found.items() if rights}
    if lacking:
        return bad(
            THING,
            f"{account} may not make a database for each course, and lacks "
            f"{_by_rights(lacking)}. {_grant(account)}",
        )
    if courses:
        return good(THING, f"{account} has the rights it needs on {_some(list(found))} (tried).")
    return look(
        THING,
        f"{account} has the rights it needs on {_some(list(found))}. It may not make databases of "
        "any name, and the data folders name no course yet whose database could be tried. To let "
        f"it make all: {_grant(account)}",
    )


def _by_rights(lacking: Mapping[str, list[str]]) -> str:
    databases: dict[str, list[str]] = {}
    for database, rights in lacking.items():
        databases.setdefault(", ".join(rights), []).append(database)
    return "; ".join(f"{rights} on {_some(names)}" for rights, names in databases.items())


def _enough(talk: SqlTalk, account: str) -> Found:
    if not _has_power(str(line) for (line,) in talk.rows("SHOW GRANTS")):
        return good(THING, f"{account} may make databases, tables and views (tried).")
    host = account.rpartition("@")[2]
    own = f"'optimus'@{host}"
    return look(
        THING,
        f"{account} works, and may do far more than is needed. An account of its own is safer: "
        f"CREATE USER {own} IDENTIFIED BY '<a new password>'; {_grant_statement(own)}",
    )


def _has_power(grants: Iterable[str]) -> bool:
    """Whether one of the lines gives rights that reach beyond databases."""
    found = (re.match(r"GRANT (.+?) ON \*\.\* TO ", line) for line in grants)
    return any(_POWERS & set(rights[1].split(", ")) for rights in found if rights)


def _grant(account: str) -> str:
    return f"Let an administrator run: {_grant_statement(account)}"


def _grant_statement(account: str) -> str:
    return f"GRANT {', '.join(NEEDED)} ON *.* TO {account};"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3:,} more" if len(names) > 3 else shown  # noqa: PLR2004 - so many as above


def _statement(step: str, name: str) -> str:
    """Write the name, of which the closing quote is missing, into a step."""
    return re.sub(r"\{0\}(\w*)", lambda found: f"{name}{found[1]}`", step)


def _code(error: OutputUnavailableError) -> int:
    """The server's own number for what went wrong; 0 without one."""
    cause = error.__cause__
    first = cause.args[0] if cause is not None and cause.args else 0
    return first if isinstance(first, int) else 0
