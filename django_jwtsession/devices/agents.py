"""User agents, read by ua-parser: browser, system, and whether it is a crawler.

Its own default takes whichever resolver is installed beside it, one of which needs 32 MB, and tries
600 expressions for models of phones that nobody here asks for: with fewer, the first agent is read
in a third of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

_CRAWLER = "Spider"


@dataclass(frozen=True)
class Agent:
    """What ua-parser says of a user agent: of browser and system None for what it does not know."""

    browser: Any
    os: Any
    is_crawler: bool


def parse(agent: str) -> Agent:
    """Return what a user agent says. Its tables, some MB, are loaded at the first."""
    fast, exact = _parsers()
    found = fast.parse(agent)
    # Among the models of devices, which are tried in their order, most crawlers stand first.
    is_crawler = _is_crawler(found) and _is_crawler(exact.parse(agent))
    return Agent(found.user_agent, found.os, is_crawler)


def _is_crawler(found: Any) -> bool:
    return bool(found.device and found.device.family == _CRAWLER)


@cache
def _parsers() -> tuple[Any, Any]:
    """Return a parser that knows crawlers alone of all devices, and one that knows devices alone.

    Their expressions are compiled one by one, when an agent comes to them.
    """
    from ua_parser import Parser
    from ua_parser.basic import Resolver
    from ua_parser.loaders import load_lazy_builtins

    browsers, systems, devices = load_lazy_builtins()
    crawlers = [one for one in devices if getattr(one, "family", "") == _CRAWLER]
    return (
        Parser(Resolver((browsers, systems, crawlers))),
        Parser(Resolver(([], [], devices))),
    )
