"""Which logins of the history are over."""

from __future__ import annotations

from typing import Any

import pytest

from django_jwtsession.revocation import get_feed
from django_jwtsession.revocation.logins import Login, ended_of

from .conftest import Line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polling")]

LAST, NEXT = {"reason": "user"}, {"reason": "epoch"}


@pytest.mark.parametrize(
    ("lines", "is_over"),
    [
        ([], False),
        ([{}], True),
        ([{"epoch": 0} | LAST], True),
        ([{"epoch": 1} | LAST], True),
        ([{"epoch": 1} | NEXT], False),
        ([{"epoch": 5} | NEXT, {"epoch": 9, "reason": "proof"}], False),
        ([{"epoch": 5} | NEXT, {"epoch": 9} | LAST], True),
        ([{"epoch": 9} | LAST, {"epoch": 5} | NEXT], True),
        ([{"epoch": 5} | LAST, {"epoch": 9} | NEXT], False),
        ([{"epoch": 9} | NEXT, {"epoch": 5} | LAST], False),
        ([{"epoch": 9} | NEXT, {"epoch": 5} | NEXT, {"epoch": 7} | LAST], False),
        ([{"kind": "u", "before": 50.5}], True),
        ([{"kind": "u", "before": 50.0}], False),
    ],
    ids=str,
)
def test_login_is_over_if_no_epoch_follows_the_last_that_has_ended(
    line: Line, lines: list[dict[str, Any]], is_over: bool
) -> None:
    for said in lines:
        line("7" if "kind" in said else "sid", **said)
    line("other", epoch=99, **LAST)
    logins = [Login("sid", "7", 50.0), Login("living", "8", 50.0)]
    assert ended_of(logins) == ({"sid"} if is_over else set())


def test_logins_of_which_no_epoch_has_ended_cost_no_query(
    line: Line, django_assert_num_queries: Any
) -> None:
    line("gone")
    get_feed().refresh()
    with django_assert_num_queries(0):
        assert ended_of([Login("gone", "7", 50.0), Login("living", "7", 50.0)]) == {"gone"}
