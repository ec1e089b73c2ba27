"""Records that could not be kept, each with its place, its reason and its bytes.

One JSON-lines file per source below ``<state>/rejects/<service>/``. It is replaced when
its source is ingested again, so it always tells of the content that is in the outputs.
"""

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from optimus.outputs.staging import Staging
from optimus.package.edits import sha256_of

REPAIRS_KEPT = 1000


@dataclass(frozen=True)
class Reject:
    """One record that was set aside, or kept after a repair.

    Attributes:
        line: its number in the unpacked file, from 1.
        offset: the byte at which it begins in the unpacked file.
        reason: code of the rule it broke.
        detail: what a person needs besides the code.
        raw: its bytes (of an overlong line the beginning).
        kept: the record is in the outputs; only a part of it could not be used.
        delivered_sha256: hash of the delivered line, where ``raw`` is an edit of it.
    """

    line: int
    offset: int
    reason: str
    detail: str
    raw: bytes
    kept: bool = False
    delivered_sha256: str | None = None

    @property
    def sha256(self) -> str:
        """Hash of the line as delivered: an edit names it."""
        return self.delivered_sha256 or sha256_of(self.raw)


class RejectsWriter:
    """Stages the rejects of one try; no file appears when there are none."""

    def __init__(self, final: Path, staging: Staging) -> None:
        self.final = final
        self._staging = staging
        self._file: IO[bytes] | None = None
        self.reasons: Counter[str] = Counter()
        self.repairs: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """Records set aside so far."""
        return self.reasons.total()

    def add(self, reject: Reject) -> None:
        """Set one record aside, or note a repair (of which only the first are kept)."""
        counter = self.repairs if reject.kept else self.reasons
        counter[reject.reason] += 1
        if reject.kept and counter[reject.reason] > REPAIRS_KEPT:
            return
        if self._file is None:
            self._file = self._staging.path_for(self.final).open("wb")
        self._file.write(
            orjson.dumps(
                {
                    "line": reject.line,
                    "offset": reject.offset,
                    "reason": reject.reason,
                    "detail": reject.detail,
                    "kept": reject.kept,
                    "sha256": reject.sha256,
                    "edited": reject.delivered_sha256 is not None,
                    "raw": base64.b64encode(reject.raw).decode(),
                }
            )
            + b"\n"
        )

    def close(self) -> None:
        """Hand the written records to the staged file."""
        if self._file is not None:
            self._file.close()


def read_rejects(path: Path) -> Iterator[Reject]:
    """The records of one rejects file; nothing when there is no such file."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            record = orjson.loads(line)
            yield Reject(
                line=record["line"],
                offset=record["offset"],
                reason=record["reason"],
                detail=record["detail"],
                raw=base64.b64decode(record["raw"]),
                kept=record["kept"],
                delivered_sha256=record["sha256"] if record.get("edited") else None,
            )
