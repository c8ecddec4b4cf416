"""The feed cannot fail silently: `jwtsession status`, and a function for health checks."""

from __future__ import annotations

import json
import math
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from django_jwtsession.revocation import FeedHealth, feed_health, get_feed, reader
from django_jwtsession.revocation.asking import PATIENCE

from .conftest import Line

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("polling")
def test_health_says_since_when_all_is_known_and_how_far_behind_it_is(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line("one")
    before = feed_health()
    assert (before.is_ok, before.is_complete, before.age) == (False, False, math.inf)
    get_feed().refresh()
    line("two")
    clock.shift(0.5)
    health = feed_health()
    assert health == FeedHealth("", True, True, 0.5, 1, 1, True)


@pytest.mark.usefixtures("polling")
def test_health_of_a_process_that_cannot_read_is_not_ok(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_feed().refresh()
    clock.shift(61)
    assert feed_health().is_ok
    clock.shift(1)
    assert not feed_health().is_ok


@pytest.mark.usefixtures("polling")
def test_database_is_out_of_reach_while_one_waits_for_it_longer_than_a_second(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, keys_above = get_feed(), reader.keys_above
    feed.refresh()
    found = [feed.is_out_of_reach()]

    def slow(key: int) -> Any:
        for seconds in (0, PATIENCE, 0.1):
            clock.shift(seconds)
            found.append(feed.is_out_of_reach())
        return keys_above(key)

    monkeypatch.setattr(reader, "keys_above", slow)
    clock.shift(1)
    feed.refresh()
    found.append(feed.is_out_of_reach())
    assert found == [False, False, False, True, False]


def test_in_djangos_test_environment_nothing_is_wrong() -> None:
    assert feed_health() == FeedHealth("", False, False, math.inf, 0, 0, True)


def status(**options: Any) -> str:
    out = StringIO()
    call_command("jwtsession", "status", stdout=out, **options)
    return out.getvalue()


def test_status_reads_the_feed_as_a_process_does_that_starts(line: Line) -> None:
    line("one", lives=2**32)
    found = json.loads(status(json=True))
    assert (found["entries"], found["problems"], found["poll"]) == (1, [], 1.0)
    assert "1 entries" in status()
    assert "All is well." in status()


def test_status_fails_where_the_feed_is_off(settings: Any, capsys: Any) -> None:
    settings.JWTSESSION = {"REVOCATION_POLL": None}
    with pytest.raises(SystemExit) as stopped:
        status()
    assert stopped.value.code == 1


def test_status_fails_where_no_process_asks_through_the_cache(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    settings.JWTSESSION = {"REVOCATION_CACHE": "default"}
    with pytest.raises(SystemExit):
        status()


def test_status_fails_where_the_table_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any) -> Any:
        raise OperationalError("no such table")

    monkeypatch.setattr(reader, "newest_keys", fails)
    with pytest.raises(CommandError, match="no such table"):
        status()
