"""Mode "strict": a bound session opens with a fresh proof alone, in every place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import path
from pytest_django import DjangoAssertNumQueries

from django_jwtsession.backends import hybrid
from django_jwtsession.contrib.dbsc import proofs
from django_jwtsession.contrib.dbsc.models import Binding
from django_jwtsession.models import Session
from tests import urls as site_urls
from tests.helpers.process import another_process

from .browser import ORIGIN, PROOF, Browser, Key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("strict")]


def put(request: HttpRequest) -> HttpResponse:
    request.session["x"] = request.GET.get("x", "1")
    return HttpResponse("put")


def data(request: HttpRequest) -> HttpResponse:
    found = {key: value for key, value in request.session.items() if key[0] != "_"}
    return JsonResponse(found)


async def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse((await request.auser()).get_username() or "anonymous")


def refresh(request: Any) -> HttpResponse:
    return HttpResponse(str(request.session.refresh()))


def ask_again(request: Any) -> HttpResponse:
    request.session.get("x")
    request.session.revalidate()
    return HttpResponse("asked")


def over(request: HttpRequest) -> HttpResponse:
    over.session = request.session  # type: ignore[attr-defined]
    return HttpResponse(request.user.get_username())


urlpatterns = [
    path("put/", put),
    path("data/", data),
    path("who/", who),
    path("over/", over),
    path("refresh/", refresh),
    path("ask-again/", ask_again),
    *site_urls.urlpatterns,
]


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def bound(row_engine: str, browser: Browser, user: User, clock: Any) -> Browser:
    return browser.bind(user)


def home(client: Client, path: str = "/", **kwargs: Any) -> str:
    return str(client.get(path, secure=True, **kwargs).content.decode())


def test_session_without_its_proof_opens_nothing(bound: Browser) -> None:
    del bound.client.cookies[PROOF]
    assert home(bound.client) == "anonymous"
    assert home(bound.client, "/data/") == "{}"
    assert bound.client.get("/session/", secure=True).json()["authenticated"] is False
    assert bound.client.get("/admin/", secure=True).status_code == 302
    assert "/login" in bound.client.get("/closed/", secure=True)["Location"]


def test_cookies_that_were_copied_die_with_the_proof_and_the_browser_goes_on(
    bound: Browser, clock: Any
) -> None:
    thief = bound.copy()
    clock.shift(600)
    assert home(thief) == "ada"
    clock.shift(1)
    another_process()
    assert home(thief) == "anonymous"
    assert "/login" in thief.get("/closed/", secure=True)["Location"]
    assert bound.get("/").content == b"ada"
    assert home(thief) == "anonymous"


def test_refused_request_leaves_the_cookie_to_the_browser(bound: Browser, clock: Any) -> None:
    clock.shift(601)
    response = bound.client.get("/", secure=True)
    assert not response.cookies
    assert bound.get("/").content == b"ada"


@pytest.mark.parametrize("seconds", [0, 5, 30, 100])
def test_cookie_from_before_the_binding_opens_for_a_minute_at_most(
    row_engine: str, browser: Browser, user: User, clock: Any, seconds: int
) -> None:
    browser.login(user)
    thief = browser.copy()
    clock.shift(1)
    browser.register()
    clock.shift(seconds)
    allowed = 10 if row_engine == "db" else 60
    assert home(thief) == ("ada" if seconds < allowed else "anonymous")
    assert home(browser.client) == "ada"


@pytest.mark.parametrize("page", ["/put/?x=2", "/refresh/", "/ask-again/"])
def test_cookie_from_before_the_binding_renews_itself_by_no_page(
    row_engine: str, browser: Browser, user: User, clock: Any, page: str
) -> None:
    browser.login(user)
    thief = browser.copy()
    clock.shift(1)
    browser.register()
    for _ in range(4):
        another_process()
        thief.get(page, secure=True)
        clock.shift(40)
    assert home(thief) == "anonymous"
    assert browser.get(page).status_code == 200
    assert browser.get("/").content == b"ada"


def test_proof_of_another_session_or_key_opens_nothing(bound: Browser, user: User) -> None:
    other = Browser().bind(user)
    bound.client.cookies[PROOF] = other.client.cookies[PROOF].value
    assert home(bound.client) == "anonymous"


def test_proof_is_no_session_token_and_a_session_token_no_proof(bound: Browser) -> None:
    proof, session = (bound.client.cookies[name].value for name in (PROOF, "sessionid"))
    client = Client()
    client.cookies["sessionid"] = proof
    assert home(client) == "anonymous"
    client.cookies["sessionid"] = client.cookies[PROOF] = session
    assert home(client) == "anonymous"


@pytest.mark.parametrize("value", ["", "x", ".", "a.b.c", "é", "x" * 9000, '"'])
def test_proof_that_is_none_opens_nothing_and_raises_nothing(bound: Browser, value: str) -> None:
    cookies = f"sessionid={bound.client.cookies['sessionid'].value}; {PROOF}={value}"
    client = Client(HTTP_COOKIE=cookies)
    assert home(client) == "anonymous"


def test_writes_need_the_proof_as_well(bound: Browser) -> None:
    assert home(bound.client, "/put/?x=2") == "put"
    thief = bound.copy()
    del thief.cookies[PROOF]
    assert home(thief, "/put/?x=3") == "put"  # in a session of its own
    assert home(bound.client, "/data/") == '{"x": "2"}'


def test_read_inside_the_window_asks_nothing(
    browser: Browser,
    user: User,
    clock: Any,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    browser.bind(user)
    browser.get("/data/")
    with django_assert_num_queries(0):
        assert home(browser.client, "/data/") == "{}"
    clock.shift(61)
    with django_assert_num_queries(1):  # the row, as without the app
        browser.client.get("/data/", secure=True)


def test_row_alone_is_asked_for_a_session_that_is_known_to_be_bound(
    row_engine: str,
    browser: Browser,
    user: User,
    clock: Any,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    if row_engine != "db":
        pytest.skip("see above")
    browser.bind(user)
    with django_assert_num_queries(1):
        browser.get("/data/")


def test_visitors_without_a_login_are_asked_for_nothing(
    row_engine: str, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.get("/put/")
    another_process()
    with django_assert_num_queries(1 if row_engine == "db" else 0):
        assert home(client, "/data/") == '{"x": "1"}'


def test_browser_that_knows_nothing_of_it_notices_nothing(
    row_engine: str, browser: Browser, user: User, clock: Any
) -> None:
    browser.login(user)
    for _ in range(3):
        clock.shift(3600)
        assert browser.get("/").content == b"ada"
    assert browser.client.post("/logout/", secure=True).status_code == 302


def test_request_under_way_at_the_registration_opens_and_writes(
    row_engine: str, browser: Browser, user: User, clock: Any
) -> None:
    browser.login(user)
    before = browser.copy()
    browser.register()
    assert home(before, "/put/?x=race") == "put"
    assert home(browser.client, "/data/") == '{"x": "race"}'
    # Its answer overtakes that of the registration: the browser has the older cookie.
    browser.client.cookies["sessionid"] = before.cookies["sessionid"].value
    clock.shift(61)
    assert browser.get("/").content == b"ada"
    thief = browser.copy()
    del thief.cookies[PROOF]
    assert home(thief) == "anonymous"


def test_login_without_the_proof_goes_on_and_binds_anew(
    bound: Browser, user: User, clock: Any
) -> None:
    sid = bound.sid
    bound.client.get("/put/?x=kept", secure=True)
    clock.shift(601)
    bound.key, bound.bound = Key(), None  # the key is lost
    bound.login(user)
    assert bound.get("/").content == b"ada"
    assert bound.get("/data/").content == b'{"x": "kept"}'
    clock.shift(1)
    assert bound.register().status_code == 200
    clock.shift(100)
    assert bound.get("/").content == b"ada"
    assert bound.sid == sid
    assert Session.objects.count() == 1


def test_login_of_another_user_without_the_proof_begins_another_session(
    bound: Browser, clock: Any
) -> None:
    bob = User.objects.create_user("bob", password="correct horse")
    sid = bound.sid
    clock.shift(601)
    bound.bound, bound.challenge = None, ""
    bound.bind(bob)
    assert bound.sid != sid
    assert bound.get("/").content == b"bob"
    clock.shift(601)
    assert bound.get("/").content == b"bob"


def test_logout_without_the_proof_ends_the_session(bound: Browser, clock: Any) -> None:
    clock.shift(601)
    response = bound.client.post("/logout/", secure=True)
    assert response.cookies["sessionid"].value == ""
    assert not Session.objects.exists()


def test_new_epoch_stays_bound(bound: Browser, user: User, clock: Any) -> None:
    bound.login(user)
    assert home(bound.client) == "ada"
    del bound.client.cookies[PROOF]
    clock.shift(11)
    assert home(bound.client) == "anonymous"


def test_stream_is_over_when_its_proof_is(bound: Browser, clock: Any) -> None:
    bound.get("/over/")
    session = over.session  # type: ignore[attr-defined]
    assert not session.is_over()
    clock.shift(601)
    assert session.is_over()


@pytest.fixture
async def own_bindings(own_connection: None, transactional_db: None) -> AsyncIterator[None]:
    """Delete what a test has committed: the flush at its end does not know this app's table."""
    yield
    await Binding.objects.all().adelete()


@pytest.mark.usefixtures("own_bindings")
async def test_asgi_is_as_strict(clock: Any) -> None:
    user = await User.objects.acreate_user("eve", password="correct horse")
    browser = await sync_to_async(Browser().bind)(user)
    client = AsyncClient()
    for name, morsel in browser.client.cookies.items():
        client.cookies[name] = morsel.value
    assert (await client.get("/who/")).content == b"eve"
    ids = {**ORIGIN, "Sec-Secure-Session-Id": browser.sid}
    asked = await client.post("/dbsc/refresh", headers=ids, secure=True)
    assert (asked.status_code, "Secure-Session-Challenge" in asked.headers) == (403, True)
    del client.cookies[PROOF]
    assert (await client.get("/who/")).content == b"anonymous"


def test_socket_without_a_request_opens_nothing(
    browser: Browser, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.bind(user)
    token = browser.client.cookies["sessionid"].value
    key = hybrid.SessionStore(token).session_key
    monkeypatch.setattr(proofs, "in_test_environment", lambda: False)
    assert not list(hybrid.SessionStore(token).keys())
    assert list(hybrid.SessionStore(key).keys())  # server code that has kept it


def test_change_of_the_mode_logs_nobody_out(bound: Browser, settings: Any, clock: Any) -> None:
    settings.DBSC = {}
    clock.shift(700)
    assert home(bound.client) == "ada"
    settings.DBSC = {"MODE": "strict"}
    clock.shift(61)
    assert home(bound.client) == "anonymous"
    assert bound.get("/").content == b"ada"


LEAVING = "django.contrib.sessions.backends.signed_cookies"


@pytest.mark.parametrize("has_proof", [True, False])
def test_session_moves_to_another_engine_with_its_proof_alone(
    bound: Browser, settings: Any, clock: Any, has_proof: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also outside of tests, where code without a request opens no bound session."""
    monkeypatch.setattr(proofs, "in_test_environment", lambda: False)
    thief = bound.copy()
    clock.shift(0 if has_proof else 601)
    settings.JWTSESSION = {"MIGRATE_TO": LEAVING}
    thief.handler.load_middleware()
    expected = "ada" if has_proof else "anonymous"
    assert [home(thief), home(thief)] == [expected] * 2
    assert Session.objects.exists() != has_proof


def test_browser_that_signs_moves_to_another_engine(
    bound: Browser, settings: Any, clock: Any
) -> None:
    clock.shift(601)
    settings.JWTSESSION = {"MIGRATE_TO": LEAVING}
    bound.client.handler.load_middleware()
    assert [bound.get("/").content, bound.get("/").content] == [b"ada"] * 2
    assert not Session.objects.exists()


def test_tests_move_no_session_without_its_proof(bound: Browser, settings: Any, clock: Any) -> None:
    settings.JWTSESSION = {"MIGRATE_TO": LEAVING}
    clock.shift(601)
    assert home(bound.copy()) == "anonymous"
