"""The engine `cookie`: everything in the token, nothing in a table."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client

from django_jwtsession.backends.cookie import SessionStore
from django_jwtsession.conf import MAX_COOKIE_SIZE, get_config
from django_jwtsession.exceptions import SessionTooLarge
from django_jwtsession.models import Session

from ..conftest import Visit, cookie, read, write

pytestmark = pytest.mark.usefixtures("cookie_engine")


def claims(token: str) -> Any:
    return get_config().codec.read(token, time.time())


def size_of(session: SessionStore) -> int:
    assert session.session_key
    return len("sessionid") + len(session.session_key)


def filled(length: int) -> SessionStore:
    session = SessionStore()
    session["x"] = "x" * length
    session.save()
    return session


def test_reading_and_writing_make_no_query(
    visit: Visit, db: None, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        visit(write(x=1))
        assert visit(read).content == b"[('x', 1)]"
    assert not Session.objects.exists()


@pytest.mark.parametrize("method", ["cycle_key", "flush"])
def test_ending_a_session_is_one_line_of_the_feed(
    visit: Visit, db: None, django_assert_num_queries: Any, method: str
) -> None:
    visit(write(x=1))
    with django_assert_num_queries(1):
        visit(lambda request: getattr(request.session, method)())


@pytest.mark.requirement("RFC 6265bis 8.5")
def test_data_cannot_be_read_from_the_cookie(visit: Visit, client: Client) -> None:
    visit(write(secret="what nobody may read"))
    assert "secret" not in cookie(client)
    assert claims(cookie(client)).d == {"secret": "what nobody may read"}


def test_auth_keys_travel_as_short_claims_and_come_back_whole(
    visit: Visit, client: Client, user: Any, clock: Any
) -> None:
    client.force_login(user)
    token = claims(cookie(client))
    assert (token.sub, token.auth_time, token.d) == (str(user.pk), time.time(), None)
    assert len(cookie(client)) <= 400
    data = dict(SessionStore(cookie(client)).items())
    assert data == {
        "_auth_user_id": str(user.pk),
        "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
        "_auth_user_hash": user.get_session_auth_hash(),
    }


@pytest.mark.parametrize(
    "data",
    [
        {"_auth_user_id": ""},
        {"_auth_user_id": "x" * 256},
        {"_auth_user_id": "7", "_auth_user_hash": "ABCD"},
        {"_auth_user_id": "7", "_auth_user_hash": "abc"},
        {"_auth_user_id": "7", "_auth_user_hash": ""},
        {"_auth_user_id": "7", "_auth_user_hash": None},
        {"_auth_user_id": "7", "_auth_user_hash": "ab cd"},
        {"_auth_user_id": "7", "_auth_user_backend": "a.backend.that.is.not.Ours"},
        {"_auth_user_id": "7", "_auth_user_backend": None},
        {"_auth_user_hash": "abcd"},
        {"_auth_user_backend": "django.contrib.auth.backends.ModelBackend"},
    ],
    ids=repr,
)
def test_auth_keys_of_any_form_come_back_as_they_were(data: dict[str, Any]) -> None:
    session = SessionStore()
    session.update(data)
    session.save()
    assert dict(SessionStore(session.session_key).items()) == data


@pytest.mark.requirement("RFC 8725 3.8")
def test_users_id_is_text_in_a_token_whatever_it_was() -> None:
    session = SessionStore()
    session["_auth_user_id"] = 7
    session.save()
    assert claims(session.token or "").sub == "7"
    assert SessionStore(session.session_key)["_auth_user_id"] == "7"


def test_backend_that_is_not_installed_any_more_logs_nobody_in_and_breaks_nothing(
    visit: Visit, client: Client, user: Any, settings: Any
) -> None:
    client.force_login(user)
    before = claims(cookie(client)).be
    settings.AUTHENTICATION_BACKENDS = ["tests.backends.test_cookie.OtherBackend"]
    assert visit(lambda request: request.user.is_anonymous).content == b"True"
    visit(write(x=1))
    assert claims(cookie(client)).be == before


class OtherBackend:
    def get_user(self, user_id: Any) -> None:
        return None


def fits(length: int) -> bool:
    try:
        filled(length)
    except SessionTooLarge:
        return False
    return True


@pytest.mark.requirement("ASVS 3.3.5", "RFC 6265bis 5.6")
def test_session_of_just_4096_bytes_with_its_name_goes_out() -> None:
    largest = max(length for length in range(2800, 2950) if fits(length))
    # Four characters of base64url hold three bytes.
    assert MAX_COOKIE_SIZE - 2 <= size_of(filled(largest)) <= MAX_COOKIE_SIZE


@pytest.mark.requirement("RFC 6265bis 5.6")
def test_too_large_names_size_limit_and_biggest_keys_and_no_data() -> None:
    session = SessionStore()
    session.update({"small": 1, "cart": ["secret"] * 500, "search": "x" * 1000, "seen": "y" * 90})
    with pytest.raises(SessionTooLarge) as caught:
        session.save()
    message = str(caught.value)
    assert [key for key, _ in caught.value.biggest] == ["cart", "search", "seen"]
    assert str(caught.value.size) in message
    assert "4096" in message
    assert "'cart'" in message
    assert "secret" not in message


def test_site_behind_narrow_proxies_lets_no_larger_cookie_out(settings: Any) -> None:
    settings.JWTSESSION = {"MAX_COOKIE_SIZE": 3072}
    largest = max(length for length in range(2000, 2300) if fits(length))
    assert 3072 - 2 <= size_of(filled(largest)) <= 3072
    with pytest.raises(SessionTooLarge, match=r"3072.*MAX_COOKIE_SIZE"):
        filled(largest + 10)


def test_length_of_a_key_is_counted_in_bytes_as_it_is_stored() -> None:
    session = SessionStore()
    session.update({"euros": "€" * 2000, "letters": "x" * 3000})
    with pytest.raises(SessionTooLarge) as caught:
        session.save()
    assert caught.value.biggest[0][0] == "euros"
    assert caught.value.biggest[0][1] >= 6000


def test_too_large_session_is_an_error_of_the_server_and_keeps_the_old_cookie(
    visit: Visit, client: Client
) -> None:
    client.raise_request_exception = False
    visit(write(x=1))
    before = cookie(client)
    response = visit(write(x="x" * 5000))
    assert response.status_code == 500
    assert not response.cookies
    assert cookie(client) == before


def test_auth_time_stays_with_the_login_and_is_gone_with_it(
    visit: Visit, client: Client, user: Any, clock: Any
) -> None:
    def drop(request: HttpRequest) -> str:
        del request.session["_auth_user_id"]
        return ""

    clock.shift(0.1234)
    client.force_login(user)
    at = claims(cookie(client)).auth_time
    assert at == round(time.time(), 3)
    clock.shift(100)
    visit(write(x=1))
    assert claims(cookie(client)).auth_time == at
    assert SessionStore(cookie(client)).auth_time == at
    visit(drop)
    token = claims(cookie(client))
    assert (token.sub, token.auth_time) == (None, None)


@pytest.mark.parametrize("pk", ["7", "ada@example.com", "a\u00a0b", "👩\u200d🔬", "x" * 300])
def test_auth_time_is_kept_for_a_user_of_any_name(pk: str, clock: Any) -> None:
    """Without it no absolute age and no revocation of all of a user's sessions would count."""
    session = SessionStore()
    session["_auth_user_id"] = pk
    session.save()
    at = session.auth_time
    clock.shift(100)
    assert SessionStore(session.session_key).auth_time == at


def test_issuer_and_audience_are_required_where_they_are_set(
    visit: Visit, client: Client, settings: Any, security_log: Any
) -> None:
    visit(write(x=1))
    settings.JWTSESSION = {"ISSUER": "https://example.com", "AUDIENCE": "web"}
    assert visit(read).content == b"[]"
    assert [record.reason for record in security_log] in (["issuer"], ["audience"])
    visit(write(x=2))
    assert (claims(cookie(client)).iss, claims(cookie(client)).aud) == (
        "https://example.com",
        "web",
    )
    assert visit(read).content == b"[('x', 2)]"


def test_compressed_session_is_never_larger_than_what_is_read_back(settings: Any) -> None:
    """What shrinks into a cookie has to be accepted when it comes back, or refused before."""
    settings.JWTSESSION = {"COMPRESS": True}
    session = filled(200_000)
    assert len(SessionStore(session.session_key)["x"]) == 200_000
    with pytest.raises(SessionTooLarge):
        filled(300_000)


def test_delete_lets_go_of_the_data() -> None:
    session = filled(10)
    session.delete()
    assert (session.session_key, session.is_empty(), session.modified) == (None, True, True)


def test_delete_of_another_token_leaves_this_session() -> None:
    session, other = filled(10), filled(20)
    session.delete(other.session_key)
    assert len(session["x"]) == 10
    assert session.session_key
