"""Networks as people write them, and how their addresses begin."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from django_jwtsession.devices.networks import beginnings, is_in, network


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.", "192.0.2.0/24"),
        ("192.0.2", "192.0.2.0/24"),
        ("192.0", "192.0.0.0/16"),
        ("10.", "10.0.0.0/8"),
        ("192.0.2.9/28", "192.0.2.0/28"),
        ("2001:db8:", "2001:db8::/32"),
        ("2001:DB8:0:1", "2001:db8:0:1::/64"),
        ("2001:db8::/48", "2001:db8::/48"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
    ],
)
def test_beginning_of_an_address_is_its_network(text: str, meant: str) -> None:
    assert str(network(text)) == meant


@pytest.mark.parametrize(
    "text", ["", "10", "ada", "1.2.3.4.5", "300.1", "::zz", ":", ".", "ada.l", "a:b:c:d:e:f:1:2:3"]
)
def test_names_are_no_networks(text: str) -> None:
    assert network(text) is None


def _begins(address: object, texts: list[str]) -> bool:
    return any(
        str(address).startswith(text) if text.endswith((".", ":", "")) else str(address) == text
        for text in texts
    )


@given(st.ip_addresses(), st.integers(0, 128), st.data())
def test_every_address_of_a_network_begins_as_is_said(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int, data: st.DataObject
) -> None:
    # In ::/8 zeros stand in front: nobody comes from there, and what is IPv4 is stored as IPv4.
    assume(address.version == 4 or int(address) >> 120)
    length = min(length, address.max_prefixlen)
    found = ipaddress.ip_network((str(address), length), strict=False)
    texts = beginnings(found)
    assert len(texts) <= 257
    first, last = int(found[0]), int(found[-1])
    other = type(address)(data.draw(st.integers(first, last)))
    for one in (address, other, found[0], found[-1]):
        assert _begins(one, texts), (found, one, texts)
        assert is_in(str(one), found)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("2001:db8:0:0:7::/80", "2001:db8::7:1:2:3"),
        ("2001:db8:0:0:7::/80", "2001:db8:0:0:7::"),
        ("2001:0:0:5:0:0:0:0/96", "2001:0:0:5::1"),
        ("2001:0:0:5:0:0:0:0/96", "2001::5:0:0:1:2"),
        ("2001:0:0:5:0:0:7:0/112", "2001::5:0:0:7:9"),
        ("0:0:0:5:1::/80", "::5:1:2:3:4"),
    ],
)
def test_zeros_inside_a_network_are_written_short_by_some_of_its_addresses(
    text: str, address: str
) -> None:
    assert str(ipaddress.ip_address(address)) == address
    assert _begins(address, beginnings(ipaddress.ip_network(text)))


def test_neighbours_of_a_network_begin_otherwise() -> None:
    for text in ("192.0.2.0/24", "192.0.0.0/20", "2001:db8::/32", "2001:db8:0:1::/64"):
        found = ipaddress.ip_network(text)
        assert not _begins(found[0] - 1, beginnings(found))
        assert not _begins(found[-1] + 1, beginnings(found))
        assert not is_in(str(found[-1] + 1), found)
    assert not is_in(None, ipaddress.ip_network("::/0"))
