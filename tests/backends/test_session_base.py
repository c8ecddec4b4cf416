"""SessionBase's behaviour and ours beside it, the same for every engine; no request in sight."""

from __future__ import annotations

import inspect
import pickle
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction

from ..conftest import DAY, NOW, WEEK

pytestmark = pytest.mark.django_db


class PickleSerializer:
    """A serializer of bytes that are no JSON, for values that JSON has not."""

    def dumps(self, obj: Any) -> bytes:
        return pickle.dumps(obj)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


def saved(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


def reopened(session: Any) -> Any:
    return type(session)(session.session_key)


def test_token_and_session_key_open_the_session(store: Any) -> None:
    session = saved(store, x=1)
    assert session.token.count(".") == 4
    assert dict(store(session.token).items()) == {"x": 1}
    assert dict(reopened(session).items()) == {"x": 1}


def test_sid_has_22_characters_and_stays_while_the_session_lives(store: Any, clock: Any) -> None:
    session = saved(store, x=1)
    sid = session.sid
    assert len(sid) == 22
    clock.shift(WEEK / 2 + 1000)
    again = reopened(session)
    again["y"] = 2
    again.save()
    assert (again.sid, reopened(again).sid) == (sid, sid)


def test_session_that_was_never_saved_has_no_sid_and_no_key(store: Any) -> None:
    session = store()
    assert (session.sid, session.session_key, session.auth_time) == (None, None, None)
    assert session.refresh() is False


@pytest.mark.parametrize("sub_second", [0, 0.9])
@pytest.mark.parametrize(
    ("expiry", "lives"),
    [
        (300, 300),
        (1, 1),
        (timedelta(hours=2), 7200),
        (timedelta(seconds=2), 2),
        (datetime.fromtimestamp(NOW + DAY, UTC), DAY),
        (None, WEEK),
        (0, WEEK),
    ],
    ids=["300", "1", "timedelta", "timedelta 2 s", "datetime", "None", "0"],
)
def test_set_expiry_in_each_form_ends_the_session_then(
    store: Any, clock: Any, expiry: Any, lives: int, sub_second: float
) -> None:
    if not isinstance(expiry, datetime):
        clock.shift(sub_second)
    session = store()
    session["x"] = 1
    session.set_expiry(expiry)
    session.save()
    # The cookie engine counts in the whole seconds of NumericDate: up to one of them early.
    early = 0.05 + (sub_second if store.__module__.endswith("cookie") else 0)
    clock.shift(lives - early)
    assert reopened(session).get("x") == 1
    clock.shift(1.1 + early)
    assert reopened(session).get("x") is None


def test_set_expiry_0_makes_a_cookie_for_as_long_as_the_browser_runs(store: Any) -> None:
    session = store()
    session["x"] = 1
    session.set_expiry(0)
    session.save()
    assert session.cookie_max_age() is None
    assert reopened(session).get_expire_at_browser_close() is True


def test_sessions_are_browser_length_where_the_site_says_so(store: Any, settings: Any) -> None:
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = True
    session = saved(store, x=1)
    assert session.cookie_max_age() is None
    session.set_expiry(60)
    assert session.cookie_max_age() == 60


def test_expiry_of_the_session_survives_being_read_and_saved(store: Any, clock: Any) -> None:
    session = store()
    session.set_expiry(600)
    session.save()
    clock.shift(500)
    again = reopened(session)
    again["x"] = 1
    again.save()
    clock.shift(500)
    assert reopened(again)["x"] == 1


@pytest.mark.parametrize("more", [{}, {"y": 3}])
def test_what_was_saved_and_rolled_back_is_saved_again(store: Any, more: dict[str, int]) -> None:
    """As by Django's engines, which store all of it each time."""
    session = reopened(saved(store, x=1, gone=1))
    with suppress(ZeroDivisionError), transaction.atomic():
        session["x"] = 2
        del session["gone"]
        session.save()
        assert 1 / 0
    session.update(more)
    session.save()
    assert dict(reopened(session).items()) == {"x": 2, **more}


def test_refresh_extends_to_the_full_idle_age(store: Any, clock: Any) -> None:
    session = saved(store, x=1)
    clock.shift(DAY)
    again = reopened(session)
    assert again.refresh() is True
    clock.shift(WEEK - 10)
    assert reopened(again)["x"] == 1
    clock.shift(20)
    assert "x" not in reopened(again)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("expiry", [timedelta(seconds=7200.3), timedelta(hours=2)])
def test_refresh_does_not_extend_a_fixed_end(
    store: Any, clock: Any, expiry: timedelta, fraction: float
) -> None:
    clock.shift(fraction)
    session = store()
    session.set_expiry(expiry)
    session.save()
    for seconds in (0.3, 0.3, 0.3, 1800.2, 5000.3):
        clock.shift(seconds)
        assert reopened(session).refresh() is False


def test_refresh_of_a_session_that_has_ended_says_so(store: Any, clock: Any) -> None:
    session = saved(store, x=1)
    clock.shift(WEEK + 1)
    assert reopened(session).refresh() is False


@pytest.mark.requirement("ASVS 7.3.2")
def test_absolute_age_ends_a_login_whatever_extends_it(
    store: Any, clock: Any, settings: Any
) -> None:
    settings.JWTSESSION = {"ABSOLUTE_AGE": timedelta(days=10)}
    session = saved(store, _auth_user_id="1")
    for _ in range(3):
        clock.shift(3 * DAY)
        session = reopened(session)
        assert session["_auth_user_id"] == "1"
        session["x"] = 1
        session.save()
    assert session.cookie_max_age() == DAY
    clock.shift(DAY - 1)
    assert reopened(session).refresh() is False
    assert reopened(session)["_auth_user_id"] == "1"
    clock.shift(2)
    assert "_auth_user_id" not in reopened(session)


def test_absolute_age_made_shorter_ends_older_logins(store: Any, clock: Any, settings: Any) -> None:
    session = saved(store, _auth_user_id="1")
    clock.shift(DAY)
    settings.JWTSESSION = {"ABSOLUTE_AGE": DAY / 2}
    assert "_auth_user_id" not in reopened(session)


def test_anonymous_session_has_no_absolute_end(store: Any, clock: Any) -> None:
    session = saved(store, x=1)
    for _ in range(40):
        clock.shift(5 * DAY)
        session = reopened(session)
        assert session.refresh() is True
    assert reopened(session)["x"] == 1


def test_anonymous_session_that_is_used_for_months_in_a_browser_does_not_end(
    store: Any, clock: Any
) -> None:
    """What a visit does: write, then hand the key on; the key has to last as long."""
    session = saved(store, x=0)
    for number in range(1, 40):
        clock.shift(5 * DAY)
        session = reopened(session)
        assert session["x"] == number - 1
        session["x"] = number
        session.save()


@pytest.mark.requirement("ASVS 7.2.2")
def test_flush_ends_the_session_and_the_next_is_another(store: Any) -> None:
    session = saved(store, x=1)
    sid, key = session.sid, session.session_key
    session.flush()
    assert (session.session_key, session.sid, session.is_empty()) == (None, None, True)
    session["y"] = 2
    session.save()
    assert session.sid != sid
    assert dict(reopened(session).items()) == {"y": 2}
    assert store().exists(key) is False


def test_cycle_key_makes_a_new_key_and_keeps_sid_and_data(store: Any) -> None:
    session = saved(store, x=1)
    sid, key = session.sid, session.session_key
    session.cycle_key()
    assert session.modified
    assert session.sid == sid
    assert session.session_key != key
    assert store().exists(key) is False
    assert dict(reopened(session).items()) == {"x": 1}


def test_cycle_key_keeps_what_was_set_just_before_it(store: Any) -> None:
    """Django's engines save with it: code outside of requests relies on that."""
    session = reopened(saved(store, x=1))
    session["y"] = 2
    session.cycle_key()
    assert dict(reopened(session).items()) == {"x": 1, "y": 2}


def test_cycle_key_of_a_session_that_was_never_saved_makes_one(store: Any) -> None:
    session = store()
    session["x"] = 1
    session.cycle_key()
    assert reopened(session)["x"] == 1


def test_cycle_key_keeps_the_end(store: Any, clock: Any) -> None:
    session = store()
    session.set_expiry(datetime.fromtimestamp(NOW + 100, UTC))
    session.save()
    clock.shift(50)
    session = reopened(session)
    session.cycle_key()
    assert session.get_expiry_age() == 50
    clock.shift(51)
    assert "_session_expiry" not in reopened(session)


def test_clear_of_a_session_that_was_not_read_keeps_its_sid(store: Any) -> None:
    session = saved(store, x=1, y=2)
    again = reopened(session)
    again.clear()
    again["z"] = 3
    again.save()
    assert dict(reopened(again).items()) == {"z": 3}
    assert again.sid == session.sid


def test_test_cookie_works(store: Any) -> None:
    session = store()
    session.set_test_cookie()
    session.save()
    again = reopened(session)
    assert again.test_cookie_worked()
    again.delete_test_cookie()
    again.save()
    assert not reopened(again).test_cookie_worked()


def test_session_serializer_that_is_no_json_is_used(store: Any, settings: Any) -> None:
    settings.SESSION_SERIALIZER = "tests.backends.test_session_base.PickleSerializer"
    when = datetime(2026, 1, 1, tzinfo=UTC)
    session = saved(store, when=when, raw=b"\x00\xff", _auth_user_id="1")
    assert dict(reopened(session).items()) == {
        "when": when,
        "raw": b"\x00\xff",
        "_auth_user_id": "1",
    }


@pytest.mark.parametrize("other", ["pickle", "json"])
def test_data_of_another_serializer_is_an_empty_session_and_no_error(
    store: Any, settings: Any, other: str
) -> None:
    ours = "tests.backends.test_session_base.PickleSerializer"
    theirs = settings.SESSION_SERIALIZER
    settings.SESSION_SERIALIZER = ours if other == "pickle" else theirs
    session = saved(store, x={1, 2} if other == "pickle" else 1)
    settings.SESSION_SERIALIZER = theirs if other == "pickle" else ours
    assert reopened(session).get("x") in (None, 1)


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        "\ud800",
        "\x00",
        "ä€😀",
        10**30,
        1.5,
        None,
        [1, [2, {"a": []}]],
        {"d": {"sid": "x", "exp": 1}},
        "x" * 2000,
    ],
    ids=repr,
)
def test_what_django_s_serializer_takes_comes_back(store: Any, value: Any) -> None:
    assert reopened(saved(store, x=value))["x"] == value


def test_names_of_claims_and_settings_are_free_for_data(store: Any) -> None:
    names = dict.fromkeys(("sid", "exp", "iat", "sub", "be", "ah", "d", "rv", "ver", ""), 1)
    assert dict(reopened(saved(store, **names)).items()) == names


def test_key_written_as_a_number_beside_the_same_as_text_does_not_end_the_session(
    store: Any,
) -> None:
    """`cart[product.id] = 2` on a cart that came back with text keys: the later value wins."""
    session = saved(store, cart={"1": 1}, **{"7": "old"})
    again = reopened(session)
    again["cart"][1] = 2
    again[7] = "new"
    again.save()
    assert dict(reopened(again).items()) == {"cart": {"1": 2}, "7": "new"}


def test_each_method_of_ours_has_an_async_twin(store: Any) -> None:
    for name in {"refresh", "reissue", "touch", "is_over", "revalidate"} & set(dir(store)):
        if name != "touch" or hasattr(store, "get_model_class"):
            assert inspect.iscoroutinefunction(getattr(store, f"a{name}"))


@pytest.mark.django_db(transaction=True)  # another thread, another connection
@pytest.mark.usefixtures("own_connection")
async def test_async_twins_do_as_the_sync_ones(store: Any, clock: Any) -> None:
    session = store()
    await session.aset("x", 1)
    await session.aset_expiry(600)
    await session.asave()
    sid = session.sid
    clock.shift(400)
    session = reopened(session)
    assert await session.aget("x") == 1
    assert await session.arefresh() is True
    clock.shift(400)
    session = reopened(session)
    assert await session.aget("x") == 1
    key = session.session_key
    await session.acycle_key()
    assert session.sid == sid
    assert session.session_key != key
    assert await reopened(session).aget("x") == 1
    key = session.session_key
    await session.aflush()
    assert session.session_key is None
    assert await store().aexists(key) is False
    assert await store().arefresh() is False
    await session.acreate()
    assert session.session_key not in (None, key)


def test_engines_are_django_s_sessions(store: Any) -> None:
    assert issubclass(store, SessionBase)
    assert not {name for name in dir(SessionBase) if not hasattr(store, name)}
