"""Extract: what edX delivers, decrypted, unpacked and published as a data package.

In     package zips and packed logs below DELIVERY_PATHS, and what was fetched from S3_SOURCES
Out    clickstream_logs/ and database_state/ of the org's data folder;
       lake/deliveries/<delivery>.parquet: packages.deliveries, one row per published file
Waits  for nothing; a scan follows, and the other services find what was published
"""

from collections.abc import Iterable, Mapping
from typing import Any

from optimus.errors import BadFileError
from optimus.outputs.catalog import LakeTables
from optimus.package.layout import Package, PackageFile
from optimus.package.names import FileKind
from optimus.service import FileRun, FileService
from services.extract.checking import findings
from services.extract.desk import SCHEMA, Desk
from services.extract.logs import publish_log
from services.extract.packages import publish_zip


class Extract(FileService):
    """Deliveries. All of one is published, or nothing."""

    name = "extract"
    spelled = "Extract"
    title = "Deliveries"
    options = (
        "DELIVERY_PATHS",
        "S3_SOURCES",
        "DATA_PATHS",
        "PUBLISH_PATH",
        "PUBLISH_GROUP",
        "PUBLISH_MODE",
        "UNPACK_LOGS",
        "GPG_HOME",
        "GPG_PASSPHRASE_FILE",
    )
    lake_tables = (
        LakeTables(
            pattern="deliveries/*.parquet",
            schema="packages",
            table="deliveries",
            empty=SCHEMA,
            about="One row per file or course folder that a delivery gave to the data folder.",
        ),
    )
    feeds_the_package = True
    equal_content_counts_once = True

    def is_used(self, options: Mapping[str, Any]) -> bool:
        """Where deliveries arrive."""
        return bool(options["DELIVERY_PATHS"] or options["S3_SOURCES"])

    def check(self, options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Look at gpg, its key and the folders."""
        return findings(options)

    def wants(self, package: Package) -> Iterable[PackageFile]:
        """Take all that has arrived."""
        return package.deliveries

    def ingest(self, run: FileRun) -> None:
        """Unpack a delivery aside, and say where it belongs."""
        delivered = run.delivered
        if delivered is None:
            raise BadFileError(f"{run.file.path.name} is a folder where a file was expected.")
        publish = publish_zip if run.file.kind is FileKind.package_zip else publish_log
        try:
            publish(Desk(run, delivered))
        except BadFileError:
            # What changes while it is read looks damaged.
            delivered.finish()
            raise
