"""What is written for the model of Django's sessions, with ours in its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db.models import F, Max, Q
from django.utils import timezone

from django_jwtsession.backends.db import SessionStore
from django_jwtsession.models import Session

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("db_engine")]
HOUR = 3600


@pytest.fixture
def keys(clock: Any) -> list[str]:
    """The keys of two sessions; the first ends in an hour, the second in two."""
    found = []
    for hours in (1, 2):
        session = SessionStore()
        session["hours"] = hours
        session.set_expiry(hours * HOUR)
        session.save()
        found.append(str(session.session_key))
    return found


def hours(rows: Any) -> list[int]:
    """Return which of the sessions were found, in their order."""
    return [row.get_decoded()["hours"] for row in rows]


def soon() -> datetime:
    """A time at which the first session has ended, and the second has not."""
    return timezone.now() + timedelta(minutes=90)


@pytest.mark.parametrize(
    ("ask", "found"),
    [
        (lambda rows: rows.filter(expire_date__gte=soon()), [2]),
        (lambda rows: rows.exclude(expire_date__gte=soon()), [1]),
        (lambda rows: rows.filter(Q(expire_date__lt=soon())), [1]),
        (lambda rows: rows.filter(~Q(expire_date__lt=soon()) | Q(pk=None)), [2]),
        (lambda rows: rows.filter(expire_date=F("expire_date")).order_by("expire_date"), [1, 2]),
        (lambda rows: rows.order_by("-expire_date"), [2, 1]),
        (lambda rows: rows.order_by(F("expire_date").desc()), [2, 1]),
        (lambda rows: [rows.latest("expire_date"), rows.earliest("expire_date")], [2, 1]),
        (lambda rows: rows.order_by("expire_date").reverse()[:1], [2]),
        (lambda rows: rows.filter(expire_date__range=(timezone.now(), soon())), [1]),
    ],
)
def test_rows_are_found_and_sorted_by_expire_date(
    keys: list[str], ask: Callable[[Any], Any], found: list[int]
) -> None:
    assert hours(ask(Session.objects)) == found


def test_expire_date_is_read_without_the_row(keys: list[str]) -> None:
    first, second = Session.objects.order_by("expires_at")
    ends = Session.objects.order_by("expire_date").values_list("expire_date", flat=True)
    assert list(ends) == [first.expires_at, second.expires_at]
    assert list(Session.objects.filter(pk=first.pk).values("expire_date")) == [
        {"expire_date": first.expires_at}
    ]
    assert Session.objects.aggregate(Max("expire_date")) == {"expire_date__max": second.expires_at}


@pytest.mark.parametrize("name", ["pk", "session_key", "session_key__exact"])
def test_key_finds_the_row_that_it_opens(keys: list[str], name: str) -> None:
    assert hours([Session.objects.get(**{name: keys[1]})]) == [2]
    assert hours(Session.objects.filter(Q(**{name: keys[1]}))) == [2]
    assert hours(Session.objects.exclude(**{name: keys[1]})) == [1]


@pytest.mark.parametrize("name", ["pk__in", "session_key__in"])
def test_keys_find_the_rows_that_they_open(keys: list[str], name: str) -> None:
    rows = Session.objects.order_by("expire_date")
    assert hours(rows.filter(**{name: keys})) == [1, 2]
    wrong = keys[0][:22] + keys[1][22:]
    assert hours(rows.filter(**{name: [wrong, keys[1]]})) == [2]
    assert hours(rows.exclude(**{name: keys[:1]})) == [2]


@pytest.mark.parametrize("name", ["pk", "session_key"])
def test_key_that_opens_nothing_finds_no_row(keys: list[str], name: str) -> None:
    """The sid is known to others: what stands behind it has to be right."""
    wrong = keys[0][:22] + keys[1][22:]
    assert not Session.objects.filter(**{name: wrong}).exists()
    with pytest.raises(Session.DoesNotExist):
        Session.objects.get(**{name: wrong})
    assert Session.objects.exclude(**{name: wrong}).count() == 2


def test_primary_keys_are_uuids_as_ever(keys: list[str]) -> None:
    ids = list(Session.objects.order_by("expires_at").values_list("pk", flat=True))
    assert hours([Session.objects.get(pk=ids[1])]) == [2]
    assert hours([Session.objects.get(pk=str(ids[1]))]) == [2]
    assert hours([Session.objects.get(id=ids[1].hex)]) == [2]
    assert set(Session.objects.in_bulk(ids)) == set(ids)
    assert Session.objects.filter(pk__in=Session.objects.filter(pk=ids[0])).count() == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda rows: rows.values_list("session_key", flat=True),
        lambda rows: rows.order_by("session_key"),
        lambda rows: rows.filter(session_key__startswith="a"),
        lambda rows: rows.filter(pk=F("session_key")),
    ],
)
def test_keys_are_no_column_and_the_error_says_what_to_write(ask: Callable[[Any], Any]) -> None:
    with pytest.raises(FieldError, match="session_key is no column") as raised:
        list(ask(Session.objects))
    assert "row.session_key" in str(raised.value)


def test_row_of_a_key_can_be_deleted_as_logouts_by_hand_do(keys: list[str]) -> None:
    Session.objects.get(pk=keys[0]).delete()
    Session.objects.filter(session_key__in=keys[1:]).delete()
    assert not Session.objects.exists()


def test_what_the_docs_say_does_not_work_fails_aloud(keys: list[str]) -> None:
    with pytest.raises(ValidationError):
        Session.objects.in_bulk(["no key"])
    new: Any = Session
    with pytest.raises(AttributeError, match="session_key"):
        new(session_key=keys[0])
    assert not hasattr(Session.objects.get(pk=keys[0]), "session_data")
