"""A database that takes no writes at all: what goes on, what people are told, what the log says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import login
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_jwtsession.backends import answer
from django_jwtsession.models import Session
from django_jwtsession.models.writable import takes_no_writes
from django_jwtsession.signals import session_created
from tests.conftest import Visit, read, write

from ..factories import PASSWORD, UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.urls")]


class ReadOnly:
    """`begin()` and `end()`: the database's own word, not one of the tests."""

    def begin(self) -> None:
        self._say("ON", "READ ONLY")

    def end(self) -> None:
        self._say("OFF", "READ WRITE")

    def _say(self, sqlite: str, others: str) -> None:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute(f"PRAGMA query_only = {sqlite}")
            elif connection.vendor == "postgresql":
                cursor.execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION {others}")
            else:
                cursor.execute(f"SET SESSION TRANSACTION {others}")


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadOnly]:
    monkeypatch.setattr(answer, "_told_of_failure_at", float("-inf"))
    found = ReadOnly()
    yield found
    found.end()


def test_login_fails_with_a_message_and_works_afterwards(
    engine: str, client: Client, read_only: ReadOnly, caplog: Any
) -> None:
    credentials = {"username": UserFactory().username, "password": PASSWORD}
    read_only.begin()
    response = client.post(reverse("login"), credentials)
    assert response.status_code == 503
    assert "Nobody can sign in at the moment" in response.content.decode()
    assert "sessionid" not in response.cookies
    said = [one.getMessage() for one in caplog.records if "takes no writes" in one.getMessage()]
    assert len(said) == 1
    read_only.end()
    assert client.post(reverse("login"), credentials).status_code == 302


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
def test_login_whose_second_write_fails_is_none(
    engine: str, client: Client, read_only: ReadOnly
) -> None:
    """A disk that has room for the row and for nothing more."""
    credentials = {"username": UserFactory().username, "password": PASSWORD}

    def fill(**kwargs: Any) -> None:
        read_only.begin()

    session_created.connect(fill)
    try:
        response = client.post(reverse("login"), credentials)
    finally:
        session_created.disconnect(fill)
    assert response.status_code == 503
    assert "Nobody can sign in at the moment" in response.content.decode()
    assert "sessionid" not in response.cookies
    read_only.end()
    assert client.post(reverse("login"), credentials).status_code == 302


def test_visitor_keeps_what_he_had_when_a_login_fails(
    engine: str, client: Client, visit: Visit, read_only: ReadOnly, settings: Any
) -> None:
    visit(write(basket=3))
    credentials = {"username": UserFactory().username, "password": PASSWORD}
    pages, settings.ROOT_URLCONF = settings.ROOT_URLCONF, "tests.urls"
    read_only.begin()
    assert client.post(reverse("login"), credentials).status_code == 503
    read_only.end()
    settings.ROOT_URLCONF = pages
    assert visit(read).content == b"[('basket', 3)]"


@pytest.mark.parametrize("order", [1, -1])
def test_login_fails_with_a_message_also_if_several_cookies_came(
    engine: str, client: Client, visit: Visit, read_only: ReadOnly, settings: Any, order: int
) -> None:
    good = visit(write(basket=3)).cookies["sessionid"].value
    cookies = "; ".join([f"sessionid={good}", "sessionid=planted-by-others"][::order])
    credentials = {"username": UserFactory().username, "password": PASSWORD}
    settings.ROOT_URLCONF = "tests.urls"
    settings.SESSION_SAVE_EVERY_REQUEST = True  # which reads the session, as a page with messages
    read_only.begin()
    response = client.post(reverse("login"), credentials, HTTP_COOKIE=cookies)
    assert response.status_code == 503
    assert "sessionid" not in response.cookies


@pytest.mark.parametrize("seconds", [400, 4 * 86400])
def test_pages_that_only_read_are_shown_with_one_line_in_the_log(
    engine: str, visit: Visit, clock: Any, user: Any, read_only: ReadOnly, caplog: Any, seconds: int
) -> None:
    visit(lambda request: login(request, user))
    visit(write(x=1))
    clock.shift(seconds)
    read_only.begin()
    for _ in range(3):
        response = visit(read)
        assert response.status_code == 200
        assert b"('x', 1)" in response.content
    records = [one for one in caplog.records if one.name == "django_jwtsession"]
    assert len(records) == (0 if engine == "cookie" else 1)
    for record in records:
        assert "takes no writes" in record.getMessage()
        assert record.exc_info is None


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
@pytest.mark.parametrize("seconds", [400, 4 * 86400])
def test_what_is_optional_is_not_tried_by_each_request(
    engine: str, visit: Visit, clock: Any, user: Any, read_only: ReadOnly, seconds: int
) -> None:
    """A try may wait as long as the driver does for a lock: 5 s with SQLite."""
    visit(lambda request: login(request, user))
    clock.shift(seconds)
    read_only.begin()
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            assert visit(read).status_code == 200
    assert len([one for one in queries if one["sql"].startswith("UPDATE")]) <= 1
    read_only.end()
    seen = Session.objects.get().last_seen_at
    assert visit(read).status_code == 200
    assert Session.objects.get().last_seen_at == seen
    with mock.patch(
        "django_jwtsession.backends.answer.time.monotonic", return_value=monotonic() + 5
    ):
        assert visit(read).status_code == 200
    assert Session.objects.get().last_seen_at > seen


def test_old_copy_opens_nothing_while_its_alarm_cannot_be_written(
    settings: Any, visit: Visit, clock: Any, user: Any, read_only: ReadOnly
) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.hybrid"
    visit(lambda request: login(request, user))
    Session.objects.update(generation=3)
    clock.shift(70)
    read_only.begin()
    for _ in range(2):
        assert visit(lambda request: request.user.is_anonymous).content == b"True"
    read_only.end()
    assert Session.objects.exists()


def test_locked_file_of_sqlite_takes_no_writes(tmp_path: Path) -> None:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(tmp_path / "file", timeout=0, isolation_level=None)

    with closing(connect()) as one, closing(connect()) as other:
        one.execute("CREATE TABLE t (x)")
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as raised:
            other.execute("INSERT INTO t VALUES (1)")
        assert other.execute("SELECT * FROM t").fetchall() == []
    assert takes_no_writes(raised.value)


def test_other_errors_are_not_taken_for_it() -> None:
    assert not takes_no_writes(Exception(1213, "Deadlock"))
    assert not takes_no_writes(Exception())
