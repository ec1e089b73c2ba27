"""Publishing a package zip."""

from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path

from optimus.errors import BadFileError
from optimus.package.deliveries import org_of
from optimus.package.files import refuse_bomb
from optimus.package.layout import STATE_FOLDER
from services.extract.desk import Desk, Row
from services.extract.members import Member, Members
from services.extract.paths import shown
from services.extract.places import LATEST, base_of, is_newest, opt_in_base
from services.extract.tars import PRIVATE_FOLDER
from services.extract.unpacking import Content
from services.extract.zips import Zip

NAMED = 10
"""Failed files that a note names."""
LEFT_OUT = "left_out"


def publish_zip(desk: Desk) -> None:
    """Stage the folder of a package, and the link that makes it the newest.

    Raises:
        BadFileError: a member is damaged, or made to do harm.
        KeyUnavailableError: a member is encrypted for another key.
    """
    run, delivered, size = desk.run, desk.delivered, desk.delivered.bytes_total
    run.progress.total = 2 * size
    # Members are read where they stand; the delivery is known by the hash of all its bytes.
    for _ in delivered.packed_blocks():
        run.tick(delivered.bytes_read)
    archive = Zip(delivered.read_at, size, desk.filename)
    members = Members(archive, desk.filename)
    states = _base_of(desk, members) / STATE_FOLDER
    package = _Package(desk, archive, states / run.file.path.stem)
    desk.write_down(package.publish(members))
    _note_failures(desk, members)
    _point_to_newest(desk, states)


class _Package:
    """A package on its way from the zip to its folder."""

    def __init__(self, desk: Desk, archive: Zip, final: Path) -> None:
        self._desk = desk
        self._archive = archive
        self._final = final
        size, said = desk.delivered.bytes_total, sum(member.size for member in archive.members)
        refuse_bomb(desk.filename, size, said)
        self._hidden = desk.folder_for(final, said)
        self._unpacking = desk.unpacking(lambda: size + archive.position)

    def publish(self, members: Members) -> Iterator[Row]:
        """Write each member that is a plain file.

        Yields:
            What is written down of each.
        """
        for member in members:
            self._desk.run.counts["lines"] += 1
            if member.why_left_out:
                self._leave_out(member, member.zipped.name, member.why_left_out)
            else:
                yield self._publish(member)

    def _publish(self, member: Member) -> Row:
        name = f"{self._desk.filename}: {shown(member.zipped.name)}"
        try:
            content = self._save(member, name)
        except (FileExistsError, NotADirectoryError) as error:
            raise BadFileError(
                f"{name} holds, or is, one of two files of one name. Nothing of the package is "
                "published; ask the sender for another."
            ) from error
        kind = member.name.kind if member.name else None
        return self._desk.row(
            kind, self._final / member.published, content, failed=member.is_failed
        )

    def _save(self, member: Member, name: str) -> Content:
        unpacking, path = self._unpacking, self._hidden / member.published
        path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        blocks = unpacking.opened(self._archive.blocks(member.zipped), name)
        if not member.is_course_archive:
            return unpacking.save(blocks, path)

        def left_out(entry: str, why: str) -> None:
            self._desk.run.counts["lines"] += 1
            self._leave_out(member, entry, why)

        return unpacking.save_folder(blocks, path, name, left_out)

    def _leave_out(self, member: Member, entry: str, why: str) -> None:
        """Set aside what is no plain file: an archive may say that it is anything."""
        run = self._desk.run
        detail = f"{why}: {shown(entry)} of {shown(member.path.name)}"
        raw = entry.encode("utf-8", "surrogateescape")
        run.reject(run.counts["lines"], member.zipped.offset, LEFT_OUT, detail, raw)


def _base_of(desk: Desk, members: Members) -> Path:
    place = opt_in_base if members.are_email_preferences() else base_of
    return place(desk.package, org_of(desk.name))


def _note_failures(desk: Desk, members: Members) -> None:
    """What the sender could not make is nobody's fault here, but worth a question."""
    names = [member.path.name for member in members if member.is_failed]
    if names:
        desk.run.counts["failed"] = len(names)
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        desk.run.note(
            f"edX could not make {len(names):,} of the files: {', '.join(names[:NAMED])}{more}."
        )


def _point_to_newest(desk: Desk, states: Path) -> None:
    run, latest = desk.run, states / LATEST
    if latest.is_dir() and not latest.is_symlink():
        run.note(
            f"{latest} is a folder and no link, so it stays what it is read. Remove it, or rename "
            "it to the day it holds; the next delivery makes the link."
        )
    is_wanted = partial(is_newest, states, run.file.day or date.min)
    run.staging.point(latest, run.file.path.stem, desk.shelf, is_wanted)
