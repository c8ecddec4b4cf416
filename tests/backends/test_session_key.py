"""`session_key` of `db` and `hybrid`: 40 characters, a credential, the same until Django's changes.

What stores or builds keys (carts, Channels, the test client, axes, CAS) works as with Django's own.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client
from django.utils import timezone

from django_jwtsession.models import Session, SessionEvent

from ..conftest import ENGINES, OUR_MIDDLEWARE, STOCK_MIDDLEWARE
from ..helpers.process import another_process
from ..helpers.visitor import MODES, Visitor, session_key
from .test_epochs import change_password, prove, renew_key

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls_engines")]
HOUR = 3600


@pytest.fixture(params=["db", "hybrid"])
def store(request: pytest.FixtureRequest, settings: Any, clock: Any) -> Any:
    """The SessionStore of each engine with rows; it is the site's."""
    settings.SESSION_ENGINE = ENGINES[request.param]
    return import_module(ENGINES[request.param]).SessionStore


@pytest.fixture(params=MODES)
def visitor(request: pytest.FixtureRequest, store: Any, user: User) -> Visitor:
    """A browser with something in its basket, logged in."""
    visitor = Visitor(request.param)
    visitor.put(basket="book")
    visitor.login(user)
    return visitor


@pytest.fixture
def stock(settings: Any) -> None:
    """Django's own SessionMiddleware in the place of ours."""
    middleware = [STOCK_MIDDLEWARE if m == OUR_MIDDLEWARE else m for m in settings.MIDDLEWARE]
    settings.MIDDLEWARE = middleware


def opened(store: Any, key: Any) -> dict[str, Any]:
    """Return what a key opens, without Django's own keys; as another process."""
    another_process()
    found = store(key)
    return {name: value for name, value in found.items() if not name.startswith("_")}


def saved(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


# --- its form, and its life -----------------------------------------------------------------------


@pytest.mark.requirement("ASVS 7.2.3")
def test_key_is_the_sid_and_eighteen_characters(store: Any) -> None:
    session = saved(store, x=1)
    assert len(session.session_key) == 40
    assert session.session_key[:22] == session.sid


def test_session_that_was_never_saved_has_no_key(store: Any) -> None:
    session = store()
    session["x"] = 1
    assert session.session_key is None


def test_created_session_has_its_key_before_its_data(store: Any) -> None:
    """As stock code that calls create() first and stores the key."""
    session = store()
    session.create()
    key = session.session_key
    session["x"] = 1
    session.save()
    assert session.session_key == key
    assert opened(store, key) == {"x": 1}


def test_key_stays_through_reading_writing_extension_and_rotation(
    visitor: Visitor, clock: Any
) -> None:
    key = visitor.key()
    for hours in (0, 0.5, 1.1, 0.1, 24, 80, 120):
        clock.shift(hours * HOUR)
        visitor.put(x=hours)
        assert visitor.who() == "ada"
        assert visitor.key() == key


@pytest.mark.parametrize("begin", [prove, change_password, renew_key])
def test_key_is_new_where_django_s_changes_and_the_old_one_opens_nothing(
    visitor: Visitor, user: User, store: Any, clock: Any, begin: Any
) -> None:
    old = visitor.key()
    clock.shift(60)
    begin(visitor, user)
    new = visitor.key()
    assert new != old
    assert new[:22] == old[:22]
    clock.shift(6)
    assert opened(store, old) == {}
    assert opened(store, new) == {"basket": "book"}
    assert visitor.who() == "ada"


def test_key_is_new_at_login(store: Any, user: User, clock: Any) -> None:
    visitor = Visitor()
    visitor.put(basket="book")
    anonymous = visitor.key()
    visitor.login(user)
    clock.shift(6)
    assert opened(store, anonymous) == {}
    assert opened(store, visitor.key()) == {"basket": "book"}


def test_stale_request_learns_of_no_newer_key(visitor: Visitor, user: User, clock: Any) -> None:
    old = visitor.copy()
    prove(visitor, user)
    key = visitor.key()
    clock.shift(0.5)
    assert old.do(session_key, "get") != key


# --- what it opens --------------------------------------------------------------------------------


def test_key_opens_its_session_as_django_s_does(store: Any) -> None:
    session = saved(store, x=1)
    assert opened(store, session.session_key) == {"x": 1}
    again = store(session.session_key)
    again["y"] = 2
    again.save()
    assert again.session_key == session.session_key
    assert opened(store, session.session_key) == {"x": 1, "y": 2}


async def test_key_opens_its_session_in_async_code(store: Any, db: None) -> None:
    session = store()
    await session.aset("x", 1)
    await session.asave()
    again = store(session.session_key)
    assert await again.aget("x") == 1
    await Session._base_manager.all().adelete()


def test_key_judges_no_generation(visitor: Visitor, store: Any, clock: Any) -> None:
    """Server code that looks a stored key up is no thief."""
    key = visitor.key()
    for _ in range(3):
        clock.shift(HOUR + 1)
        visitor.who()
        clock.shift(61)
        visitor.who()
    clock.shift(600)
    assert opened(store, key) == {"basket": "book"}
    assert visitor.who() == "ada"
    assert not SessionEvent.objects.filter(kind="token_reuse").exists()


def test_key_trusts_no_copy(visitor: Visitor, store: Any) -> None:
    key = visitor.key()
    visitor.put(x=1)
    assert opened(store, key) == {"basket": "book", "x": 1}


def test_exists_knows_the_key(store: Any) -> None:
    session = saved(store, x=1)
    assert store().exists(session.session_key) is True
    session.delete()
    assert store().exists(session.session_key) is False


@pytest.mark.parametrize("end", ["delete", "flush"])
def test_stored_key_ends_its_session_and_accuses_nobody(
    visitor: Visitor, store: Any, clock: Any, end: str
) -> None:
    """A neighbour's purge(), CAS single logout."""
    key = visitor.key()
    clock.shift(HOUR + 1)
    visitor.who()
    clock.shift(61)
    visitor.who()
    clock.shift(600)
    getattr(store(key), end)()
    assert visitor.who() == ""
    assert not SessionEvent.objects.filter(kind="token_reuse").exists()


def test_delete_with_a_key_ends_that_session_alone(store: Any) -> None:
    first, second = saved(store, x=1), saved(store, x=2)
    first.delete(second.session_key)
    assert opened(store, first.session_key) == {"x": 1}
    assert opened(store, second.session_key) == {}


def test_manager_saves_under_a_key_as_django_s_does(store: Any) -> None:
    session = saved(store, basket="book")
    end = timezone.now() + timedelta(hours=1)
    row = Session.objects.save(session.session_key, {"basket": "lamp"}, end)
    assert row.sid == session.sid
    assert row.expire_date == row.expires_at == end
    assert opened(store, session.session_key) == {"basket": "lamp"}
    Session.objects.save(session.session_key, {}, end)
    assert not Session.objects.exists()


def test_manager_saves_nothing_under_a_key_that_opens_nothing(store: Any) -> None:
    key = saved(store, basket="book").session_key
    with pytest.raises(UpdateError):
        Session.objects.save(
            f"{key[:-1]}{'A' if key[-1] != 'A' else 'B'}", {"x": 1}, timezone.now()
        )
    assert opened(store, key) == {"basket": "book"}


@pytest.mark.parametrize("key", [None, "", "no key at all"])
def test_key_of_no_session_finds_no_row(store: Any, key: str | None) -> None:
    """As that of a visitor without a session does, when `.delete()` follows."""
    saved(store, x=1)
    assert Session.objects.filter(session_key=key).count() == 0
    assert Session.objects.exclude(session_key=key).count() == 1


def test_rows_are_found_by_the_names_of_django_s_columns(store: Any) -> None:
    first, second = saved(store, x=1), saved(store, x=2)
    others = Session.objects.exclude(session_key=first.session_key)
    assert [row.sid for row in others] == [second.sid]
    assert Session.objects.get(session_key=first.session_key).sid == first.sid
    now = timezone.now()
    assert Session.objects.filter(expire_date__gte=now).count() == 2
    assert Session.objects.exclude(expire_date__gte=now).count() == 0


def test_store_of_a_sid_opens_the_session_for_server_code(visitor: Visitor, store: Any) -> None:
    sid = visitor.sid()
    session = store.of(sid)
    assert session["basket"] == "book"
    assert session.session_key == visitor.key()
    session["basket"] = "pen"
    session.save()
    assert visitor.data() == {"basket": "pen"}


def test_store_of_a_sid_that_is_none_holds_nothing(store: Any) -> None:
    session = saved(store, x=1)
    session.delete()
    for sid in (session.sid or "A" * 22, "A" * 22, "no sid", ""):
        found = store.of(sid)
        assert found is None or dict(found.items()) == {}


# --- what does not open it ------------------------------------------------------------------------


@pytest.mark.requirement("ASVS 7.2.3")
def test_no_part_and_no_neighbour_of_a_key_opens_anything(store: Any) -> None:
    key = saved(store, x=1).session_key
    other = saved(store, x=2).session_key
    wrong = [key[:22], key[:39], key + "A", key[:22] + other[22:], key[:22] + "A" * 18, key[22:]]
    for number in (0, 21, 22, 39):
        changed = "B" if key[number] == "A" else "A"
        wrong.append(key[:number] + changed + key[number + 1 :])
    for attempt in wrong:
        assert opened(store, attempt) == {}, attempt
        assert store(attempt).load() == {}


def test_table_alone_opens_nothing(visitor: Visitor, store: Any) -> None:
    visitor.key()
    row = Session.objects.get()
    data = bytes(row.data)
    texts = {str(row.pk), row.pk.hex, row.sid, data.hex(), data.decode("latin-1")}
    texts |= {base64.urlsafe_b64encode(data).decode().rstrip("="), base64.b64encode(data).decode()}
    texts |= {row.sid + text[i : i + 18] for text in set(texts) for i in range(len(text) - 17)}
    for text in texts:
        assert dict(store(text).load()) == {}


def test_no_column_holds_the_random_part(visitor: Visitor) -> None:
    secret = visitor.key()[22:]
    [values] = Session.objects.values()
    assert secret not in repr(values)
    assert base64.urlsafe_b64decode(secret + "==") not in bytes(values["data"])


@pytest.mark.parametrize("algorithm", ["HS256", "A256GCM"])
def test_token_that_can_be_read_does_not_hold_the_random_part(
    user: User, store: Any, settings: Any, algorithm: str
) -> None:
    settings.JWTSESSION = {"ALGORITHMS": [algorithm]}
    visitor = Visitor()
    visitor.login(user)
    visitor.put(x=1)
    key = visitor.key()
    for part in visitor.cookie.split("."):
        text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        assert key[22:].encode() not in text
        assert base64.urlsafe_b64decode(key[22:] + "==") not in text


# --- as a cookie, and who builds keys -------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_key_that_arrives_as_a_cookie_is_answered_with_a_token(
    mode: str, store: Any, user: User
) -> None:
    visitor = Visitor(mode)
    visitor.login(user)
    key = visitor.key()
    other = Visitor(mode, key)
    assert other.who() == "ada"
    assert other.got not in (None, "", key)
    assert len(other.cookie) > 40
    assert other.who() == "ada"


def test_our_middleware_sends_no_key(visitor: Visitor) -> None:
    assert visitor.cookie != visitor.key()
    assert visitor.key()[22:] not in visitor.cookie


def test_client_session_and_force_login_build_keys(store: Any, user: User) -> None:
    """Django's test client: cookie = session.session_key, SessionStore(cookie)."""
    visitor = Visitor()
    visitor.client.force_login(user)
    session = visitor.client.session
    session["x"] = 1
    session.save()
    assert visitor.who() == "ada"
    assert visitor.data() == {"x": 1}
    session = visitor.client.session
    session["x"] = 2
    session.save()
    assert visitor.data() == {"x": 2}
    visitor.client.logout()
    assert visitor.who() == ""


def test_session_is_built_by_hand_as_in_many_tests(store: Any, user: User) -> None:
    session = saved(store, _auth_user_id=str(user.pk), x=1)
    session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.save()
    visitor = Visitor(cookie=session.session_key)
    assert visitor.who() == "ada"
    assert visitor.data() == {"x": 1}


@pytest.mark.parametrize("mode", MODES)
def test_stock_middleware_works_by_keys(
    stock: None, store: Any, user: User, mode: str, clock: Any
) -> None:
    visitor = Visitor(mode)
    visitor.put(basket="book")
    assert len(visitor.cookie) == 40
    visitor.login(user)
    assert len(visitor.cookie) == 40
    assert visitor.cookie == visitor.key()
    old = visitor.copy()
    assert visitor.who() == "ada"
    assert visitor.data() == {"basket": "book"}
    for _ in range(4):
        clock.shift(HOUR)
        visitor.put(x=1)
        assert visitor.cookie == old.cookie
    visitor.logout()
    assert visitor.cookie == ""
    assert old.who() == ""


def test_stock_middleware_writes_what_our_middleware_reads(
    settings: Any, store: Any, user: User
) -> None:
    ours = settings.MIDDLEWARE
    settings.MIDDLEWARE = [STOCK_MIDDLEWARE if m == OUR_MIDDLEWARE else m for m in ours]
    visitor = Visitor()
    visitor.login(user)
    visitor.put(x=1)
    settings.MIDDLEWARE = ours
    again = visitor.copy()
    assert again.who() == "ada"
    assert again.data() == {"x": 1}


def test_token_opens_where_the_stock_middleware_stands(
    settings: Any, store: Any, user: User
) -> None:
    """Who leaves this package's middleware signs nobody out."""
    visitor = Visitor()
    visitor.login(user)
    settings.MIDDLEWARE = [
        STOCK_MIDDLEWARE if m == OUR_MIDDLEWARE else m for m in settings.MIDDLEWARE
    ]
    assert visitor.copy().who() == "ada"


# --- the engine `cookie` --------------------------------------------------------------------------


def test_cookie_engine_s_key_is_the_cookie_s_value(cookie_engine: None, user: User) -> None:
    """As with Django's signed_cookies: there is no row."""
    client = Client()
    client.force_login(user)
    assert client.session.session_key == client.cookies["sessionid"].value
    visitor = Visitor()
    visitor.put(x=1)
    store = import_module(ENGINES["cookie"]).SessionStore
    assert dict(store(visitor.cookie).items()) == {"x": 1}
    assert visitor.key() == visitor.cookie
