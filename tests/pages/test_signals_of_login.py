"""What Django builds on sessions: login, logout, password change, test client, messages, CSRF."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.test import Client

from django_jwtsession.models import Session, SessionEvent

from .. import urls_engines
from ..conftest import NOW, WEEK, Visit, cookie, read, write

pytestmark = pytest.mark.django_db


def who(request: HttpRequest) -> str:
    return request.user.get_username() or "nobody"


def sid(request: HttpRequest) -> str:
    return str(request.session.sid)


def log_in(request: HttpRequest) -> str:
    user = authenticate(request, username="ada", password="correct horse")
    assert user is not None
    login(request, user)
    return "in"


def log_out(request: HttpRequest) -> str:
    logout(request)
    return "out"


def test_login_keeps_the_data_and_the_sid(engine: str, visit: Visit, user: User) -> None:
    visit(write(cart=1))
    before = visit(sid).content
    visit(log_in)
    assert visit(sid).content == before
    assert visit(who).content == b"ada"
    assert visit(lambda request: request.session["cart"]).content == b"1"


@pytest.mark.requirement("RFC 6265bis 8.4")
def test_login_with_a_cookie_that_somebody_planted_does_not_share_it(
    db_engine: None, visit: Visit, user: User
) -> None:
    """Session fixation: the attacker's copy of the cookie from before the login opens nothing."""
    attacker, victim = Client(), Client()
    visit(write(x=1), by=attacker)
    victim.cookies["sessionid"] = cookie(attacker)
    visit(log_in, by=victim)
    assert visit(who, by=victim).content == b"ada"
    assert visit(who, by=attacker).content == b"nobody"


def test_login_of_the_same_user_again_moves_auth_time_and_keeps_the_data(
    engine: str, visit: Visit, user: User, clock: Any
) -> None:
    visit(log_in)
    visit(write(cart=1))
    clock.shift(1000)
    visit(log_in)
    assert visit(lambda request: request.session.auth_time).content == str(NOW + 1000.0).encode()
    assert visit(lambda request: request.session["cart"]).content == b"1"
    if engine == "db":
        assert Session.objects.get().authenticated_at.timestamp() == NOW + 1000


def test_login_of_another_user_starts_from_nothing(
    engine: str, visit: Visit, user: User, client: Client
) -> None:
    other = User.objects.create_user("bob")
    visit(log_in)
    visit(write(secret="of ada"))
    before = visit(sid).content
    visit(lambda request: login(request, other))
    assert visit(who).content == b"bob"
    assert visit(sid).content != before
    assert b"secret" not in visit(read).content


def test_logout_deletes_the_cookie_and_the_session(
    engine: str, visit: Visit, user: User, client: Client
) -> None:
    visit(log_in)
    response = visit(log_out)
    assert response.cookies["sessionid"]["max-age"] == 0
    assert visit(who).content == b"nobody"
    assert not Session.objects.exists()


def test_cookie_from_before_the_logout_opens_nothing(
    db_engine: None, visit: Visit, user: User, client: Client
) -> None:
    visit(log_in)
    token = cookie(client)
    visit(log_out)
    client.cookies["sessionid"] = token
    assert visit(who).content == b"nobody"


def test_slow_answer_that_writes_after_the_logout_does_not_log_in_again(
    engine: str, visit: Visit, user: User, client: Client
) -> None:
    def slow(request: HttpRequest) -> str:
        assert who(request) == "ada"
        request.session["late"] = 1
        fast = Client()
        fast.cookies["sessionid"] = cookie(client)
        visit(log_out, by=fast)
        return "late"

    visit(log_in)
    response = visit(slow)
    assert response.status_code == 400
    assert not response.cookies
    assert not Session.objects.exists()


def test_new_sid_of_a_slow_answer_does_not_bring_back_what_the_logout_ended(
    engine: str, visit: Visit, user: User, client: Client
) -> None:
    """Its data must not come back under another name, nor must the login."""

    def slow(request: HttpRequest) -> str:
        assert who(request) == "ada"
        fast = Client()
        fast.cookies["sessionid"] = cookie(client)
        visit(log_out, by=fast)
        request.session.cycle_key()
        return "late"

    visit(log_in)
    response = visit(slow)
    assert response.status_code == 400
    assert not response.cookies
    assert not Session.objects.exists()


def test_two_logins_at_once_from_one_anonymous_session_both_succeed(
    engine: str, visit: Visit, user: User, client: Client
) -> None:
    """A double click: the slower one must not fail because the faster has taken the session."""

    def slow(request: HttpRequest) -> str:
        assert request.session["cart"] == 1
        fast = Client()
        fast.cookies["sessionid"] = cookie(client)
        assert visit(log_in, by=fast).content == b"in"
        return log_in(request)

    visit(write(cart=1))
    assert visit(slow).content == b"in"
    assert visit(who).content == b"ada"


def test_failed_page_ends_no_session(engine: str, visit: Visit, user: User, client: Client) -> None:
    def broken(request: HttpRequest) -> str:
        request.session["x"] = 1
        raise RuntimeError("broken")

    client.raise_request_exception = False
    visit(log_in)
    before = cookie(client)
    assert visit(broken).status_code == 500
    assert cookie(client) == before
    assert visit(who).content == b"ada"
    assert b"x" not in visit(lambda request: list(request.session.keys())).content


def test_password_change_keeps_this_session_and_ends_the_others(
    engine: str, visit: Visit, user: User, client: Client
) -> None:
    def change(request: HttpRequest) -> str:
        request.user.set_password("a new one")
        request.user.save()
        update_session_auth_hash(request, request.user)
        return "changed"

    other = Client()
    visit(log_in)
    visit(log_in, by=other)
    before = visit(lambda request: (request.session.sid, request.session.auth_time)).content
    visit(change)
    assert visit(who).content == b"ada"
    after = visit(lambda request: (request.session.sid, request.session.auth_time)).content
    assert after == before
    assert visit(who, by=other).content == b"nobody"


def test_secret_key_rotation_keeps_logins(
    engine: str, visit: Visit, user: User, settings: Any
) -> None:
    """get_user() sees a hash of the fallback key, cycles the key and stores the new hash."""
    visit(log_in)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next secret key, it has more than thirty-two bytes"
    assert visit(who).content == b"ada"
    settings.SECRET_KEY_FALLBACKS = []
    assert visit(who).content == b"ada"


def test_login_before_any_session_and_flush_after_it_in_one_request(
    engine: str, visit: Visit, user: User
) -> None:
    def in_and_out(request: HttpRequest) -> str:
        login(request, user)
        logout(request)
        request.session["hello"] = 1
        return ""

    visit(in_and_out)
    assert visit(read).content == b"[('hello', 1)]"
    assert visit(lambda request: request.session.auth_time).content == b"None"


def test_force_login_and_logout_of_the_test_client(
    engine: str, visit: Visit, user: User, client: Client
) -> None:
    client.force_login(user)
    assert visit(who).content == b"ada"
    client.logout()
    assert visit(who).content == b"nobody"
    assert client.login(username="ada", password="correct horse")
    assert visit(who).content == b"ada"


def test_session_of_the_test_client(engine: str, visit: Visit, client: Client) -> None:
    session = client.session
    session["x"] = 1
    session.save()
    if engine == "cookie":  # as with signed_cookies: a new token has to be put into the jar
        client.cookies["sessionid"] = session.session_key
    assert visit(read).content == b"[('x', 1)]"
    assert client.session["x"] == 1


def test_session_of_the_test_client_after_a_login(
    engine: str, visit: Visit, user: User, client: Client
) -> None:
    client.force_login(user)
    session = client.session
    session["x"] = 1
    session.save()
    if engine == "cookie":
        client.cookies["sessionid"] = session.session_key
    assert visit(lambda request: (who(request), request.session["x"])).content == b"('ada', 1)"


def test_messages_in_the_session(engine: str, visit: Visit, settings: Any) -> None:
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
    visit(lambda request: messages.success(request, "Saved <b>it</b>."))
    shown = visit(lambda request: [str(message) for message in messages.get_messages(request)])
    assert shown.content == b"['Saved <b>it</b>.']"
    again = visit(lambda request: [str(message) for message in messages.get_messages(request)])
    assert again.content == b"[]"


def test_csrf_token_in_the_session(engine: str, visit: Visit, user: User, settings: Any) -> None:
    settings.CSRF_USE_SESSIONS = True
    browser = Client(enforce_csrf_checks=True)
    page = visit(lambda request: HttpResponse(get_token(request)), by=browser)
    token = page.content.decode()
    assert re.fullmatch("[A-Za-z0-9]{64}", token)
    urls_engines.Page.view = staticmethod(log_in)
    assert browser.post("/").status_code == 403
    assert browser.post("/", {"csrfmiddlewaretoken": token}).content == b"in"
    # login() rotates it.
    assert browser.post("/", {"csrfmiddlewaretoken": token}).status_code == 403


def test_absolute_age_counts_from_the_last_login(
    engine: str, visit: Visit, user: User, clock: Any, settings: Any
) -> None:
    settings.JWTSESSION = {"ABSOLUTE_AGE": WEEK}
    visit(log_in)
    clock.shift(WEEK - 100)
    visit(log_in)
    clock.shift(WEEK - 100)
    assert visit(who).content == b"ada"
    clock.shift(200)
    assert visit(who).content == b"nobody"


# --- the signals of an API that gives out tokens, with whatever session the request has -----------


def give_token(request: HttpRequest, name: str = "ada") -> str:
    """As django-rest-knox and djoser do."""
    user = User.objects.get(username=name)
    user_logged_in.send(sender=type(user), request=request, user=user)
    return "token"


def end_token(request: HttpRequest) -> str:
    user = User.objects.get(username="ada")
    user_logged_out.send(sender=type(user), request=request, user=user)
    return "ended"


def events() -> list[tuple[str, str]]:
    found = SessionEvent.objects.order_by("pk").values_list("kind", "user__username")
    return list(found)


def test_token_of_an_api_begins_no_session(
    engine: str, visit: Visit, user: User, client: Client
) -> None:
    assert not visit(give_token).cookies
    visit(write(cart=1))
    before = cookie(client)
    assert not visit(give_token).cookies
    assert cookie(client) == before
    assert Session.objects.count() == (0 if engine == "cookie" else 1)
    assert events() == []


@pytest.mark.parametrize("owner", ["ada", "bob"])
def test_token_of_an_api_is_no_proof_in_the_session_that_came_along(
    engine: str, visit: Visit, user: User, clock: Any, owner: str
) -> None:
    """Whoever has a copy of the cookie could prove it by an account of their own."""
    bob = User.objects.create_user("bob")
    visit(lambda request: login(request, user if owner == "ada" else bob))
    clock.shift(400)
    assert "sessionid" not in visit(give_token).cookies or engine == "hybrid"
    assert visit(lambda request: request.session.proved_at).content == str(float(NOW)).encode()
    assert visit(who).content == owner.encode()
    assert events() == [("login", owner)]


def test_token_after_the_login_is_no_second_login(
    engine: str, visit: Visit, user: User, clock: Any
) -> None:
    def view(request: HttpRequest) -> str:
        login(request, user)
        return give_token(request)

    visit(view)
    assert events() == [("login", "ada")]


@pytest.mark.parametrize("owner", ["ada", "bob"])
def test_end_of_a_token_is_no_logout_of_the_session_that_came_along(
    engine: str, visit: Visit, user: User, owner: str
) -> None:
    bob = User.objects.create_user("bob")
    visit(lambda request: login(request, user if owner == "ada" else bob))
    visit(end_token)
    assert visit(who).content == owner.encode()
    assert events() == [("login", owner)]
    visit(log_out)
    assert events() == [("login", owner), ("logout", owner)]


def test_token_of_an_api_is_not_noted_in_another_engine_s_session(
    visit: Visit, user: User, settings: Any
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    settings.JWTSESSION = {"MIGRATE_TO": settings.SESSION_ENGINE}
    assert not visit(give_token).cookies
