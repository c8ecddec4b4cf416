"""What is optional once the view has answered breaks no answer; a write still does."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import login
from django.db import InterfaceError, OperationalError

from django_jwtsession.backends import answer, rows
from django_jwtsession.models import Session
from django_jwtsession.revocation.feed import get_feed
from tests.helpers.process import another_process

from ..conftest import ENGINES, WEEK, read, write
from .conftest import Asker

pytestmark = pytest.mark.django_db


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A database that takes no writes, as a standby or a full disk."""
    monkeypatch.setattr(answer, "_told_of_failure_at", float("-inf"))

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("cannot execute UPDATE in a read-only transaction")

    def begin() -> None:
        for name in ("update", "update_where", "delete"):
            monkeypatch.setattr(rows, name, fail)

    return begin


@pytest.mark.parametrize("name", ["db", "hybrid"])
@pytest.mark.parametrize("seconds", [400, WEEK / 2 + 10])
def test_page_that_only_reads_is_shown_by_a_read_only_database(
    name: str, settings: Any, ask: Asker, clock: Any, read_only: Any, caplog: Any, seconds: float
) -> None:
    settings.SESSION_ENGINE = ENGINES[name]
    ask(write(x=1))
    clock.shift(seconds)
    read_only()
    for _ in range(3):
        response = ask(read)
        assert (response.status_code, response.content) == (200, b"[('x', 1)]")
    assert [one.name for one in caplog.records].count("django_jwtsession") == 1


def test_copy_is_good_where_the_connection_is_gone(
    settings: Any, ask: Asker, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg2 and PyMySQL say InterfaceError, which is no DatabaseError."""
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    ask(write(x=1))
    clock.shift(70)

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise InterfaceError("connection already closed")

    monkeypatch.setattr(rows, "fetch", fail)
    another_process()
    assert ask(read).content == b"[('x', 1)]"


@pytest.mark.parametrize("state", ["_out_of_patience", "_outage"])
@pytest.mark.parametrize(("seconds", "is_asked"), [(70, False), (119, False), (121, True)])
def test_copy_that_is_due_is_good_while_the_database_hangs_or_fails(
    settings: Any,
    ask: Asker,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    is_asked: bool,
    state: str,
) -> None:
    """Each page that asked for its row would wait as long as the driver lets it."""
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    ask(write(x=1))
    clock.shift(seconds)
    another_process()
    feed = get_feed()
    monkeypatch.setattr(feed, "polls", lambda: True)
    monkeypatch.setattr(feed, "is_quiet", lambda: True)
    setattr(feed, state, True)
    asked, fetch = [], rows.fetch

    def counted(*args: Any, **kwargs: Any) -> Any:
        asked.append(args)
        return fetch(*args, **kwargs)

    monkeypatch.setattr(rows, "fetch", counted)
    assert ask(read).content == b"[('x', 1)]"
    assert bool(asked) is is_asked
    asked.clear()
    ask(write(y=1))  # who writes waits for the row
    assert asked


def test_old_copy_opens_nothing_where_the_alarm_cannot_be_written(
    settings: Any, ask: Asker, user: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    ask(lambda request: login(request, user))
    thief = ask.another()
    Session.objects.update(generation=3)
    clock.shift(70)
    another_process()

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("disk full")

    store = settings.SESSION_ENGINE + ".SessionStore.report_reuse"
    monkeypatch.setattr(store, fail)
    assert thief(lambda request: request.user.is_anonymous).content == b"True"
