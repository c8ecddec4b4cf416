"""What a view saves in a transaction that is rolled back, and what others save meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from ..helpers.visitor import Visitor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.urls_engines"),
    pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True),
]


@pytest.fixture
def visitor(engine: str, user: User, clock: Any) -> Visitor:
    visitor = Visitor()
    visitor.put(basket="book", gone=1)
    visitor.login(user)
    return visitor


def save(session: Any, **values: int) -> None:
    session.update(values)
    session.save()


def save_in_vain(session: Any, **values: int) -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        save(session, **values)
        assert 1 / 0


@pytest.mark.parametrize("others", [0, 1, 2])
@pytest.mark.parametrize("more", [{}, {"more": 1}])
@pytest.mark.parametrize("asks", [False, True])
def test_what_was_rolled_back_is_saved_beside_what_others_have_saved_since(
    visitor: Visitor, others: int, more: dict[str, int], asks: bool
) -> None:
    """They have waited for the row; the version is then the one that was rolled back, or later."""
    theirs: dict[str, Any] = {f"theirs{number}": number for number in range(others)}

    def view(request: Any) -> None:
        session, other = request.session, visitor.copy()
        session.pop("gone")
        save_in_vain(session, mine=1)
        for name, value in theirs.items():
            other.put(**{name: value})
        if asks:
            session.revalidate()
        session.update(more)

    visitor.do(view)
    assert visitor.status == 200
    for _ in range(2):
        assert visitor.data() == {"basket": "book", "mine": 1, **theirs, **more}
        assert visitor.data("post") == {"basket": "book", "mine": 1, **theirs, **more}


def test_rollback_to_a_savepoint_takes_back_what_was_saved_after_it_alone(
    visitor: Visitor,
) -> None:
    def view(request: Any) -> None:
        with transaction.atomic():
            save(request.session, first=1)
            save_in_vain(request.session, second=2)
            save(request.session, third=3)

    visitor.do(view)
    assert visitor.data() == {"basket": "book", "gone": 1, "first": 1, "second": 2, "third": 3}


def test_what_was_committed_is_not_saved_again_over_what_others_have_saved(
    visitor: Visitor,
) -> None:
    def view(request: Any) -> None:
        other = visitor.copy()
        with transaction.atomic():
            save(request.session, x=1)
        other.put(x=2)

    visitor.do(view)
    assert visitor.data() == {"basket": "book", "gone": 1, "x": 2}


def test_key_that_is_renewed_after_a_rollback_keeps_what_was_stored(visitor: Visitor) -> None:
    def view(request: Any) -> None:
        save_in_vain(request.session, mine=1)
        request.session.cycle_key()

    visitor.do(view)
    assert visitor.data() == {"basket": "book", "gone": 1, "mine": 1}
    assert visitor.who() == "ada"


def test_rotation_that_was_rolled_back_with_a_save_issues_no_cookie_of_it(
    visitor: Visitor, clock: Any
) -> None:
    """Another request, from before the rotation was due, has written the version of it."""
    clock.shift(3590)
    early = visitor.copy()

    def while_it_is_under_way(early_request: Any) -> None:
        early_request.session.get("basket")
        clock.shift(20)

        def view(request: Any) -> None:
            save_in_vain(request.session, mine=1)
            save(early_request.session, theirs=1)

        visitor.do(view)

    early.do(while_it_is_under_way)
    clock.shift(61)
    assert visitor.data() == {"basket": "book", "gone": 1, "mine": 1, "theirs": 1}
