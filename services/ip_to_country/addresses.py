"""Which address a learner's request came from."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

BRACKETED = re.compile(r"\[([^\]]+)\](?::\d+)?")
WITH_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+")


def first_public_address(text: str) -> str | None:
    """The first address of a list that the internet routes, in its shortest spelling.

    Args:
        text: one address, or a list with commas as proxies write it, with or without ports.

    Returns:
        None when there is none: nothing but private, local or malformed addresses.
    """
    for part in text.split(","):
        address = _address(part.strip().strip('"'))
        if address is not None and address.is_global and not address.is_multicast:
            return str(address)
    return None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    with_port = BRACKETED.fullmatch(text) or WITH_PORT.fullmatch(text)
    bare = with_port[1] if with_port else text
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address
