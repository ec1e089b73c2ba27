"""Publishing a tracking log."""

from functools import partial
from pathlib import PurePosixPath

from optimus.package.deliveries import org_of
from optimus.package.files import Blocks, Unpacked
from optimus.package.layout import LOGS_FOLDER
from services.extract.desk import Desk
from services.extract.places import EVENTS, LATEST, base_of, logs_folder, may_point_to_events
from services.extract.unpacking import plain_name


def publish_log(desk: Desk) -> None:
    """Stage a log among those of its org.

    Raises:
        BadFileError: it cannot be decrypted or unpacked to its end.
        KeyUnavailableError: nor can any other, with this key.
    """
    run, delivered = desk.run, desk.delivered
    logs = base_of(desk.package, org_of(desk.name)) / LOGS_FOLDER
    folder = logs_folder(logs)
    unpacking = desk.unpacking(lambda: delivered.bytes_read)
    bare = plain_name(desk.filename)
    log = Unpacked(Blocks(unpacking.opened(delivered.packed_blocks(), desk.filename)), bare)
    plain = folder / _path_among_logs(run.file.source, desk.name.logical)
    packed = plain.with_name(f"{plain.name}.gz")
    stays_packed = log.is_gzip and not run.options["UNPACK_LOGS"]
    final, other = (packed, plain) if stays_packed else (plain, packed)
    if stays_packed:
        content = unpacking.save_packed(log, desk.file_for(final), bare)
    else:
        content = unpacking.save(log.blocks(), desk.file_for(final))
    if other.exists():
        run.note(f"{other.name} lies beside {final.name}. Remove it: only one of them is read.")
    run.counts["lines"] = 1
    desk.write_down([desk.row(desk.name.kind, final, content)])
    if folder == logs / EVENTS:
        is_wanted = partial(may_point_to_events, logs)
        run.staging.point(logs / LATEST, EVENTS, desk.shelf, is_wanted)


def _path_among_logs(source: str, logical: str) -> PurePosixPath:
    """Where a log lies among the others.

    Until 2014 each server had a folder of its own, and the logs of a day one name in all.

    Args:
        source: its path below the folder it was delivered to.
        logical: its name, unwrapped.
    """
    server = PurePosixPath(source).parent.name
    return (
        PurePosixPath(logical) if "-events" in logical.lower() else PurePosixPath(server, logical)
    )
