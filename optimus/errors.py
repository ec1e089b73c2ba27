"""Every error of the house, on one screen.

An error names the thing, the reason and the remedy. Its class also says
whether trying again helps (``retryable``), which exit code tells it (``exit_code``), and by which
word the queue knows it (``reason``). ``retry_after`` is in seconds.
"""


class OptimusError(Exception):
    """Something the operator can understand and mend."""

    retryable = False
    retry_after = 15.0
    exit_code = 1
    reason = "failed"


class SettingsError(OptimusError):
    """One or more settings are wrong; every one of them is in the sentence."""

    exit_code = 2


class UsageError(OptimusError):
    """A command was asked for something that cannot be, such as a query that writes."""

    exit_code = 2


class AlreadyRunningError(OptimusError):
    """Another process holds the state folder."""

    exit_code = 4


class ServiceDefinitionError(OptimusError):
    """A folder under ``services/`` does not hold a usable service."""

    exit_code = 2


class BadFileError(OptimusError):
    """A file cannot be ingested as it is; trying again helps only when its bytes change."""

    reason = "bad_file"


class LedgerError(OptimusError):
    """The lines of a file are not the sum of its rows and rejects: a defect of a service."""

    reason = "ledger"


class FileChangedError(OptimusError):
    """A file changed or went away while it was read; what it gave is thrown away."""

    retryable = True
    reason = "changed"


class KeyUnavailableError(OptimusError):
    """A delivery cannot be decrypted with the keys and the passphrase that are there."""

    retryable = True
    retry_after = 300.0
    reason = "key"


class SourceUnavailableError(OptimusError):
    """A store that deliveries are fetched from does not answer, or not now."""

    retryable = True
    exit_code = 3
    reason = "unavailable"


class OutputUnavailableError(OptimusError):
    """An output cannot take what is written now: no space, no permission, no server."""

    retryable = True
    retry_after = 2.0
    exit_code = 3
    reason = "unavailable"


class BadRecordError(OptimusError):
    """One line or row cannot be kept: it is set aside, and the rest of its file goes on.

    Attributes:
        reason: a short code that is the same for every record of the kind (``not_json``).
        detail: what a person needs besides the code; never any of the record's content.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class StopRequested(BaseException):
    """The daemon wants to stop: the running item goes back to the queue unharmed."""


class LostClaimError(BaseException):
    """Another worker took over this item: nothing of what was written may be published."""
