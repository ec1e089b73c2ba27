"""What a file is when it is not what its name says, and what to do about it."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_FETCH_AGAIN = "fetch the file again"
_UNPACK = "unpack it first, or restore the ending that says what it is"

_BINARY_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "gzip data", _UNPACK),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"\xff\xfe", "UTF-16 text", "convert it to UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "convert it to UTF-8"),
)
_TEXT_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"<", "an HTML or XML page, as a server sends with an error", _FETCH_AGAIN),
    (b"-----begin pgp", "an encrypted message", "decrypt it first"),
    (
        b"traceback (most recent call last)",
        "the producer's own error report",
        "ask for a new delivery",
    ),
)


def foreign_content(first_bytes: bytes) -> str | None:
    """Say what the first bytes of a file are when they are neither a table nor posts.

    Returns:
        What it is and the remedy, as the rest of a sentence; None when nothing is recognised.
    """
    for start, what, remedy in _BINARY_STARTS:
        if first_bytes.startswith(start):
            return f"it is {what}; {remedy}"
    text = first_bytes.removeprefix(BYTE_ORDER_MARK).lstrip()[:64].lower()
    for start, what, remedy in _TEXT_STARTS:
        if text.startswith(start):
            return f"it is {what}; {remedy}"
    return None
