"""Requests to a process that has just begun, whose feed has many lines to read yet."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.conftest import DAY, ENGINES
from tests.helpers import asgi
from tests.helpers.process import new_process
from tests.helpers.visitor import MODES, Visitor

from .conftest import Line

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls_engines")]


@pytest.fixture
def many(polling: None, small_pages: None, line: Line) -> None:
    """More lines than the requests of a test read."""
    for number in range(200):
        line(f"{number}", age=DAY, lives=30 * DAY)


@pytest.fixture(params=MODES)
def visitor(request: pytest.FixtureRequest, engine: str, user: User, many: None) -> Visitor:
    """Somebody who is logged in; the process begins after that."""
    visitor = Visitor(request.param)
    visitor.login(user)
    new_process()
    return visitor


def test_session_is_written_before_all_lines_are_read(visitor: Visitor) -> None:
    visitor.put(x=1)
    assert visitor.status == 200
    new_process()
    visitor.put("get", y=2)
    assert visitor.status == 200
    assert visitor.data() == {"x": 1, "y": 2}


def test_session_is_extended_before_all_lines_are_read(visitor: Visitor, clock: Any) -> None:
    clock.shift(4 * DAY)
    assert visitor.who() == "ada"
    assert visitor.got


def test_session_is_asked_for_by_its_key_before_all_lines_are_read(
    visitor: Visitor, engine: str
) -> None:
    store = import_module(ENGINES[engine]).SessionStore()
    assert asgi.run(store.aexists, visitor.key())
