"""`data` is sealed: who reads the table learns nothing, who writes to it can change no session."""

from __future__ import annotations

import pickle
from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth.models import User

from django_jwtsession.models import Session

from ..conftest import ENGINES
from ..helpers.process import another_process
from ..helpers.schemas import be_in_schema
from ..helpers.visitor import Visitor
from .test_epochs import prove

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls_engines")]
DAY = 86400
SECRET = "a secret that only the session knows"
OLD, NEW = "old " * 16, "new " * 16


@pytest.fixture(params=["db", "hybrid"])
def store(request: pytest.FixtureRequest, settings: Any, clock: Any) -> Any:
    """The SessionStore of each engine with rows; it is the site's."""
    settings.SESSION_ENGINE = ENGINES[request.param]
    return import_module(ENGINES[request.param]).SessionStore


@pytest.fixture
def visitor(store: Any, user: User) -> Visitor:
    visitor = Visitor()
    visitor.login(user)
    visitor.put(note=SECRET)
    return visitor


@pytest.fixture
def past_the_copy(clock: Any) -> Any:
    """Let the hybrid cookie's copy of the row be over, and be a process that knows nothing."""

    def go() -> None:
        another_process()
        clock.shift(61)

    return go


def row(visitor: Visitor) -> Session:
    """Return the visitor's row."""
    return next(row for row in Session.objects.all() if row.sid == visitor.sid())


def write(row: Session, **columns: Any) -> None:
    """Write to the table as somebody who has got into the database."""
    assert Session.objects.filter(pk=row.pk).update(**columns) == 1


def is_nobody(visitor: Visitor, store: Any, key: str = "") -> bool:
    """Neither the cookie nor the key opens anything."""
    another_process()
    by_key = dict(store(key).items()) if key else {}
    return visitor.who() == "" and visitor.data() == {} and by_key == {}


# --- reading the table ----------------------------------------------------------------------------


def test_table_shows_neither_data_nor_identity_nor_hash(visitor: Visitor, user: User) -> None:
    [values] = Session.objects.values()
    data = bytes(values.pop("data"))
    for secret in (SECRET, "note", user.get_session_auth_hash(), "ModelBackend", "_auth_user"):
        assert secret.encode() not in data
        assert secret not in repr(values)


def test_same_data_of_two_sessions_looks_different(store: Any) -> None:
    for _ in range(2):
        session = store()
        session["x"] = "the same"
        session.save()
    first, second = (bytes(row.data) for row in Session.objects.all())
    assert first != second


def test_get_decoded_opens_the_row_as_django_s(visitor: Visitor, user: User) -> None:
    data = row(visitor).get_decoded()
    assert data["note"] == SECRET
    assert data["_auth_user_id"] == str(user.pk)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"x":1}', b"\x00" * 40, b"garbage"])
def test_get_decoded_of_a_row_that_cannot_be_opened_is_empty(visitor: Visitor, data: bytes) -> None:
    write(row(visitor), data=data)
    assert Session.objects.get().get_decoded() == {}


def test_repr_of_a_row_holds_no_data(visitor: Visitor) -> None:
    found = row(visitor)
    found.get_decoded()
    assert SECRET not in repr(found) + str(found)
    assert visitor.key()[22:] not in repr(found) + str(found)


# --- writing to the table -------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 5, -1, -20, "middle"])
@pytest.mark.requirement("RFC 9700 4.9")
def test_changed_row_opens_nothing(
    visitor: Visitor, store: Any, past_the_copy: Any, place: Any
) -> None:
    found, key = row(visitor), visitor.key()
    data = bytearray(found.data)
    data[len(data) // 2 if place == "middle" else place] ^= 1
    write(found, data=bytes(data))
    past_the_copy()
    assert is_nobody(visitor, store, key)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"_auth_user_id":"1"}', b"\x80\x04N."])
def test_row_that_was_never_sealed_opens_nothing(
    visitor: Visitor, store: Any, past_the_copy: Any, data: bytes
) -> None:
    found, key = row(visitor), visitor.key()
    write(found, data=data)
    past_the_copy()
    assert is_nobody(visitor, store, key)


def test_row_that_cannot_be_opened_is_an_ended_session_with_a_reason_in_the_log(
    visitor: Visitor, past_the_copy: Any, security_log: Any
) -> None:
    write(row(visitor), data=b"garbage")
    past_the_copy()
    before = len(security_log)
    assert visitor.who() == ""
    assert len(security_log) > before
    assert SECRET not in "".join(record.getMessage() for record in security_log)


def test_swapped_rows_open_nothing(
    visitor: Visitor, store: Any, past_the_copy: Any, django_user_model: Any
) -> None:
    other = Visitor()
    other.login(django_user_model.objects.create_user("bob"))
    keys = visitor.key(), other.key()
    mine, theirs = row(visitor), row(other)
    write(mine, data=theirs.data, version=theirs.version)
    write(theirs, data=mine.data, version=mine.version)
    past_the_copy()
    assert is_nobody(visitor, store, keys[0])
    assert is_nobody(other, store, keys[1])


def test_row_made_from_another_one_opens_nothing(
    visitor: Visitor, store: Any, past_the_copy: Any
) -> None:
    """Somebody puts an administrator's data under an id of which he has the cookie."""
    thief = Visitor()
    thief.put(x=1)
    target, source = row(thief), Session.objects.exclude(pk=row(thief).pk).get()
    columns = {
        field.attname: getattr(source, field.attname)
        for field in Session._meta.concrete_fields
        if not field.primary_key
    }
    write(target, **columns)
    past_the_copy()
    assert is_nobody(thief, store)


def test_data_of_an_earlier_epoch_cannot_be_put_back(
    visitor: Visitor, user: User, store: Any, past_the_copy: Any, clock: Any
) -> None:
    before = row(visitor)
    clock.shift(60)
    prove(visitor, user)
    key = visitor.key()
    write(before, data=before.data)
    past_the_copy()
    assert is_nobody(visitor, store, key)


def test_column_of_the_user_is_for_lists_and_gives_nobody_another_name(
    visitor: Visitor, store: Any, past_the_copy: Any, django_user_model: Any
) -> None:
    boss = django_user_model.objects.create_superuser("boss")
    write(row(visitor), user_id=boss.pk)
    past_the_copy()
    assert visitor.who() != "boss"


class Pickles:
    """A serializer as projects have it that keep more than JSON."""

    def dumps(self, obj: Any) -> bytes:
        return pickle.dumps(obj)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


class Bomb:
    went_off = False

    def __reduce__(self) -> Any:
        return (_go_off, ())


def _go_off() -> dict[str, Any]:
    Bomb.went_off = True
    return {}


def test_pickling_serializer_is_no_way_from_sql_to_code(
    store: Any, settings: Any, past_the_copy: Any
) -> None:
    settings.SESSION_SERIALIZER = f"{__name__}.Pickles"
    visitor = Visitor()
    visitor.put(x={1, 2})
    assert visitor.data() == {"x": {1, 2}}
    write(row(visitor), data=pickle.dumps(Bomb()))
    past_the_copy()
    assert visitor.data() == {}
    assert Session.objects.count() == 0 or Session.objects.get().get_decoded() == {}
    assert not Bomb.went_off


# --- the key that seals ---------------------------------------------------------------------------


def test_row_that_a_removed_secret_sealed_is_an_ended_session(
    store: Any, settings: Any, past_the_copy: Any, security_log: Any
) -> None:
    settings.JWTSESSION = {"KEYS": [OLD]}
    visitor = Visitor()
    visitor.put(note=SECRET)
    key, found = visitor.key(), row(visitor)
    settings.JWTSESSION = {"KEYS": [NEW]}
    past_the_copy()
    assert is_nobody(visitor, store, key)
    found.refresh_from_db()
    assert found.get_decoded() == {}
    assert len(security_log)


def test_visitor_who_only_reads_outlives_the_removal_of_a_fallback(
    store: Any, settings: Any, past_the_copy: Any, clock: Any
) -> None:
    settings.JWTSESSION = {"KEYS": [OLD]}
    visitor = Visitor()
    visitor.put(note=SECRET)
    settings.JWTSESSION = {"KEYS": [NEW, OLD]}
    for _ in range(4):
        clock.shift(3 * DAY)
        assert visitor.data() == {"note": SECRET}
    settings.JWTSESSION = {"KEYS": [NEW]}
    past_the_copy()
    assert visitor.data() == {"note": SECRET}
    assert Session.objects.get().get_decoded() == {"note": SECRET}


def test_writer_s_row_is_sealed_under_the_newest_secret_at_once(
    store: Any, settings: Any, past_the_copy: Any
) -> None:
    settings.JWTSESSION = {"KEYS": [OLD]}
    visitor = Visitor()
    visitor.put(note=SECRET)
    settings.JWTSESSION = {"KEYS": [NEW, OLD]}
    visitor.put(more=1)
    settings.JWTSESSION = {"KEYS": [NEW]}
    past_the_copy()
    assert visitor.data() == {"note": SECRET, "more": 1}


def test_key_of_the_row_follows_no_week(store: Any, clock: Any, settings: Any) -> None:
    """Cookies are of one week's key; a row is good for as long as its session."""
    settings.SESSION_COOKIE_AGE = 60 * DAY
    session = store()
    session["note"] = SECRET
    session.save()
    clock.shift(29 * DAY)
    another_process()
    assert store(session.session_key).get("note") == SECRET


# --- the place ------------------------------------------------------------------------------------


def test_session_of_one_schema_opens_nothing_in_a_clone_of_it(
    engine: str, user: User, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """django-tenants names the schema on the connection; the clone has the same rows and users."""
    be_in_schema("a", monkeypatch)
    visitor = Visitor()
    visitor.login(user)
    key = visitor.key()
    assert visitor.copy().who() == "ada"
    be_in_schema("b", monkeypatch)
    another_process()
    assert visitor.copy().who() == ""
    assert Visitor(cookie=key).who() == ""
    be_in_schema("a", monkeypatch)
    assert visitor.copy().who() == "ada"


def test_row_of_one_schema_cannot_be_opened_in_another(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = row(visitor)
    assert found.get_decoded()["note"] == SECRET
    be_in_schema("b", monkeypatch)
    assert Session.objects.get().get_decoded() == {}
