"""Two requests that met in the database: what the app writes is tried again, as all else is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from django_jwtsession.contrib.dbsc.models import Binding

from .browser import PROOF, Browser, Key

pytestmark = pytest.mark.django_db(transaction=True)


class Conflicts:
    """Each kind of write to the app's table fails once, with what Galera says."""

    def __init__(self) -> None:
        self.met: list[str] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        kind = sql.partition(" ")[0]
        is_ours = "dbsc_binding" in sql and kind in ("INSERT", "UPDATE", "DELETE")
        if is_ours and kind not in self.met:
            self.met.append(kind)
            error = OperationalError(1213, "Deadlock found when trying to get lock")
            error.__cause__ = Exception(1213)
            raise error
        return execute(sql, params, many, context)


@pytest.fixture
def conflicts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Conflicts]:
    monkeypatch.setattr("django_jwtsession.models.retry.time.sleep", lambda _: None)
    found = Conflicts()
    with connection.execute_wrapper(found):
        yield found
    # The flush after the test does not know this app's table.
    Binding.objects.all().delete()


def test_each_step_goes_on_after_a_conflict(browser: Browser, user: User, conflicts: Any) -> None:
    browser.login(user)
    conflicts.met.clear()
    assert browser.register().status_code == 200
    assert browser.answer().status_code == 200
    assert {"INSERT", "UPDATE"} <= set(conflicts.met)

    conflicts.met.clear()
    del browser.client.cookies[PROOF]
    browser.login(user)  # drops the key
    assert conflicts.met == ["DELETE"]
    assert not Binding.objects.exists()

    browser.key, browser.bound = Key(), None
    assert browser.register().status_code == 200
    conflicts.met.clear()
    assert browser.client.post("/logout/", secure=True).status_code == 302
    assert conflicts.met == ["DELETE"]
    assert not Binding.objects.exists()


def test_theft_is_found_after_a_conflict(browser: Browser, user: User, conflicts: Any) -> None:
    browser.bind(user)
    conflicts.met.clear()
    assert browser.answer(Key().jws({"jti": browser.challenge})).status_code == 410
    assert conflicts.met == ["DELETE"]
    assert not Binding.objects.exists()
