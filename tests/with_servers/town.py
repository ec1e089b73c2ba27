"""An installation that works with both servers, and what a reader finds on them."""

import re
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql.cursors
from pymongo import MongoClient

from optimus.outputs.catalog import Catalog
from optimus.queue.store import Queue
from optimus.registry import load_registry
from optimus.settings import FixedSettings
from tests.end_to_end.installation import Installation
from tests.servers import MariaDb, MongoDb

OURS = re.compile(r"stg_|old_")


class Town:
    """One installation, or several that share the servers.

    Attributes:
        mariadb: queue and tables.
        mongodb: events and forums.
        package: the data package of all installations.
    """

    def __init__(self, folder: Path, package: Path, mariadb: MariaDb, mongodb: MongoDb) -> None:
        self.folder = folder
        self.package = package
        self.mariadb = mariadb
        self.mongodb = mongodb

    def installation(self, name: str, geo_database: Path, **settings: Any) -> Installation:
        """An installation with a state folder of its own; the lake is shared by all."""
        chosen = {
            "LAKE_PATH": str(self.folder / "lake"),
            "EXPORT_PATH": str(self.folder / "exports"),
            "SQL_HOST": "127.0.0.1",
            "SQL_PORT": self.mariadb.port,
            "SQL_USERNAME": "root",
            "MONGO_HOST": f"127.0.0.1:{self.mongodb.port}",
            "SETTLE_SECONDS": 0,
            "API_PORT": 0,
            "WORKERS": 2,
            **settings,
        }
        found = Installation(self.folder / name, self.package, geo_database, **chosen)
        found.lake = Path(chosen["LAKE_PATH"])
        return found

    def lake(self, sql: str) -> list[dict[str, Any]]:
        """What a reader of the lake gets; moments are aware datetimes in UTC."""
        tables = load_registry(FixedSettings()).lake_tables
        catalog = Catalog(self.folder / "lake", tables)
        with catalog.connect(self.folder / "spill") as connection:
            rows: list[dict[str, Any]] = connection.sql(sql).to_arrow_table().to_pylist()
        return rows

    def lake_tables(self) -> list[tuple[str, str]]:
        """Schema and name of every table of the lake."""
        rows = self.lake("SELECT table_schema, table_name FROM information_schema.tables")
        return [(row["table_schema"], row["table_name"]) for row in rows]

    def select(self, sql: str) -> list[dict[str, Any]]:
        """What a reader of MySQL gets."""
        with (
            self.mariadb.server.connect() as connection,
            connection.cursor(pymysql.cursors.DictCursor) as cursor,
        ):
            cursor.execute(sql)
            return list(cursor.fetchall())

    def table(self, database: str, name: str) -> list[dict[str, Any]]:
        """All rows of a table."""
        return self.select(f"SELECT * FROM `{database}`.`{name}`")

    def tables(self) -> set[tuple[str, str]]:
        """Database and name of every table but those of the queue and the server."""
        rows = self.select(
            "SELECT table_schema AS a, table_name AS b FROM information_schema.tables "
            "WHERE table_schema NOT IN ('mysql', 'sys', 'api', 'information_schema', "
            "'performance_schema')"
        )
        return {(row["a"], row["b"]) for row in rows}

    def leftovers(self) -> list[str]:
        """Tables that no reader should see, and records of unfinished work."""
        staged = [name for _, name in self.tables() if OURS.match(name)]
        with self.client() as client:
            for database in ("logs", "discussion_forum"):
                staged += [
                    record["_id"]
                    for record in client[database]["_ingest"].find({"complete": False})
                ]
        return staged

    def client(self) -> "MongoClient[dict[str, Any]]":
        return self.mongodb.server.connect()

    def documents(self, database: str, collection: str) -> list[dict[str, Any]]:
        """All documents of a collection, by their ids."""
        with self.client() as client:
            return list(client[database][collection].find().sort("_id"))

    def collections(self, database: str) -> set[str]:
        with self.client() as client:
            return set(client[database].list_collection_names()) - {"_ingest"}

    def sources(self, service: str | None = None) -> list[Any]:
        """The queue's rows."""
        with closing(Queue(self.mariadb.server)) as queue:
            return list(queue.sources(service))

    def runs(self) -> list[Any]:
        """The queue's history."""
        with closing(Queue(self.mariadb.server)) as queue:
            return list(queue.runs())

    def is_done(self, services: Iterable[str]) -> bool:
        """Whether all there is has been ingested."""
        rows = {name: self.sources(name) for name in services}
        return all(rows.values()) and all(
            row.state == "done" or row.reason == "sender_failed"
            for found in rows.values()
            for row in found
        )
