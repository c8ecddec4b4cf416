"""Networks as people write them: "192.0.2.", "2001:db8:", "192.0.2.0/24"; no Django here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# So many beginnings of text at most stand for one network: a /17 is 128 times a /24.
_MAX_BEGINNINGS = 128
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_ZEROS = re.compile(r"(?<![^:])(?:0:){2,}")


def network(text: str) -> Network | None:
    """Return the network of a CIDR, of an address, or of the first parts of one; None for others.

    A part that is begun is taken as whole: "192.0.2.1" is one address, "192.0" all of 192.0.0.0/16.
    """
    text = text.strip()
    for written in (text, _completed(text)):
        try:
            found = ipaddress.ip_network(written, strict=False)
        except ValueError:
            continue
        return _unmapped(found)
    return None


def _unmapped(found: Network) -> Network:
    """Return a network of IPv4 that is written as IPv6 as one of IPv4, as addresses are stored."""
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        address = int(found.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((address, found.prefixlen - 96))
    return found


def _completed(text: str) -> str:
    """Write the beginning of an address as a CIDR."""
    if ":" in text:
        groups = text.rstrip(":").split(":")
        whole = ":".join(groups) + ("::" if len(groups) < 8 else "")
        return f"{whole}/{16 * len(groups)}" if 0 < len(groups) <= 8 and all(groups) else ""
    octets = text.rstrip(".").split(".")
    if "." not in text or not 0 < len(octets) < 4:
        return ""
    return f"{'.'.join([*octets, *['0'] * (4 - len(octets))])}/{8 * len(octets)}"


def beginnings(found: Network) -> list[str]:
    """Return how the text of each address in a network begins, of all that is stored as text.

    [] stands for "anything", where the network is none that text can tell; others' addresses may
    begin like that as well: is_in() knows.
    """
    step = 8 if found.version == 4 else 16
    length = -(-found.prefixlen // step) * step
    if 2 ** (length - found.prefixlen) > _MAX_BEGINNINGS:
        length = found.prefixlen // step * step
        found = found.supernet(new_prefix=length)
    return [text for part in found.subnets(new_prefix=length) for text in _texts(part)]


def _texts(part: Network) -> Iterator[str]:
    if part.prefixlen in (0, part.max_prefixlen):
        yield "" if part.prefixlen == 0 else str(part.network_address)
    elif part.version == 4:
        octets = str(part.network_address).split(".")
        yield ".".join(octets[: part.prefixlen // 8]) + "."
    else:
        groups = [f"{int(group, 16):x}" for group in part.network_address.exploded.split(":")]
        groups = groups[: part.prefixlen // 16]
        text = ":".join(groups) + ":"
        yield text
        # A row of zeros is written "::", the longest that an address has: inside, or at the end
        # with what follows there.
        zeros = [each for each in _ZEROS.finditer(text) if each.end() < len(text)]
        if zeros:
            longest = max(zeros, key=lambda each: len(each.group()))
            yield f"{text[: longest.start()] or ':'}:{text[longest.end() :]}"
        given = len(groups)
        while given and groups[given - 1] == "0":
            given -= 1
        if given < len(groups):
            yield ":".join(groups[:given]) + "::"


def is_in(address: str | None, found: Network) -> bool:
    """Tell whether an address that is stored lies in a network."""
    return address is not None and ipaddress.ip_address(address) in found
