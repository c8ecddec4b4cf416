"""The middleware under WSGI: what a visit reads, writes, and puts into the browser."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import Client

from django_jwtsession.middleware import SessionMiddleware
from django_jwtsession.models import Session
from django_jwtsession.revocation.feed import Feed, FeedUnavailable

from .conftest import DAY, ENGINES, NOW, OUR_MIDDLEWARE, STOCK_MIDDLEWARE, WEEK, Visit, read, write

pytestmark = pytest.mark.django_db


def use_middleware(settings: Any, path: str) -> None:
    rest = [m for m in settings.MIDDLEWARE if not m.endswith("SessionMiddleware")]
    settings.MIDDLEWARE = [path, *rest]


# --- sliding refresh ------------------------------------------------------------------------------


def test_visit_in_the_first_half_sets_no_cookie(engine: str, visit: Visit, clock: Any) -> None:
    visit(write(x=1))
    # Later the hybrid engine's copy of the row has to be renewed; the session is not extended.
    clock.shift(30 if engine == "hybrid" else WEEK / 2 - 1)
    assert not visit(read).cookies


def test_cookie_that_only_renews_the_copy_extends_nothing(
    visit: Visit, clock: Any, settings: Any
) -> None:
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    visit(write(x=1))
    for _ in range(6):
        clock.shift(WEEK / 14)
        visit(read)
    clock.shift(WEEK * 8 / 14 + 10)
    assert visit(read).content == b"[]"


def test_visit_in_the_second_half_extends_session_and_cookie(
    engine: str, visit: Visit, clock: Any
) -> None:
    visit(write(x=1))
    clock.shift(WEEK / 2 + 1)
    response = visit(read)
    assert response.cookies["sessionid"]["max-age"] == WEEK
    clock.shift(WEEK - 10)
    assert visit(read).content == b"[('x', 1)]"


def test_visitor_who_comes_every_third_day_stays_for_months(
    engine: str, visit: Visit, clock: Any
) -> None:
    visit(write(x=1))
    for _ in range(40):
        clock.shift(4 * DAY)
        assert visit(read).content == b"[('x', 1)]"
    clock.shift(WEEK + 1)
    assert visit(read).content == b"[]"


def test_page_that_does_not_use_the_session_does_not_extend_it(
    engine: str, visit: Visit, clock: Any, django_assert_num_queries: Any
) -> None:
    visit(write(x=1))
    clock.shift(WEEK - 10)
    with django_assert_num_queries(0):
        assert not visit().cookies
    clock.shift(11)
    assert visit(read).content == b"[]"


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
def test_prefetch_extends_nothing(engine: str, visit: Visit, clock: Any, purpose: str) -> None:
    visit(write(x=1))
    clock.shift(WEEK - 10)
    assert visit(read, headers={"Sec-Purpose": purpose}).content == b"[('x', 1)]"
    clock.shift(11)
    assert visit(read).content == b"[]"


@pytest.mark.parametrize("status", [500, 503])
def test_server_error_neither_extends_nor_writes(
    engine: str, visit: Visit, clock: Any, status: int
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.session["y"] = 2
        return HttpResponse(status=status)

    visit(write(x=1))
    clock.shift(WEEK - 10)
    assert not visit(view).cookies
    assert visit(read).content == b"[('x', 1)]"


@pytest.mark.parametrize("status", [302, 404])
def test_other_answers_write_and_extend(engine: str, visit: Visit, clock: Any, status: int) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.session["x"] = 2
        return HttpResponse(status=status)

    assert visit(view).cookies["sessionid"]["max-age"] == WEEK
    assert visit(read).content == b"[('x', 2)]"


def test_refresh_by_hand_sends_the_new_cookie(engine: str, visit: Visit, clock: Any) -> None:
    visit(write(x=1))
    clock.shift(DAY)
    response = visit(lambda request: request.session.refresh())
    assert response.content == b"True"
    assert response.cookies["sessionid"]["max-age"] == WEEK
    clock.shift(WEEK - 10)
    assert visit(read).content == b"[('x', 1)]"


def test_refresh_by_hand_works_with_the_stock_middleware(
    engine: str, visit: Visit, clock: Any, settings: Any
) -> None:
    use_middleware(settings, STOCK_MIDDLEWARE)
    visit(write(x=1))
    clock.shift(DAY)
    assert visit(lambda request: request.session.refresh()).content == b"True"
    clock.shift(WEEK - 10)
    assert visit(read).content == b"[('x', 1)]"


def test_save_every_request_extends_each_time(
    engine: str, visit: Visit, clock: Any, settings: Any
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    visit(write(x=1))
    for _ in range(3):
        clock.shift(DAY)
        assert visit().cookies["sessionid"]["max-age"] == WEEK
    clock.shift(WEEK - 10)
    assert visit(read).content == b"[('x', 1)]"


def test_save_every_request_saves_no_session_that_has_ended(
    engine: str, visit: Visit, client: Client, clock: Any, settings: Any
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    visit(write(x=1))
    clock.shift(WEEK + 20)
    assert not visit().cookies


def test_browser_length_cookie_has_no_date_also_when_it_is_refreshed(
    engine: str, visit: Visit, clock: Any
) -> None:
    def view(request: HttpRequest) -> str:
        request.session.set_expiry(0)
        return ""

    morsels = [visit(view).cookies["sessionid"]]
    clock.shift(WEEK - 10)
    morsels.append(visit(read).cookies["sessionid"])
    assert [(m["max-age"], m["expires"]) for m in morsels] == [("", ""), ("", "")]


def test_cookie_of_a_login_is_never_dated_past_its_absolute_end(
    engine: str, visit: Visit, clock: Any, settings: Any
) -> None:
    settings.JWTSESSION = {"ABSOLUTE_AGE": timedelta(days=10)}
    visit(write(_auth_user_id="1"))
    clock.shift(6 * DAY)
    assert visit(read).cookies["sessionid"]["max-age"] == 4 * DAY
    clock.shift(3 * DAY)
    assert visit(read).cookies["sessionid"]["max-age"] == DAY  # the next week's key
    clock.shift(DAY + 1)
    assert visit(read).content == b"[]"


# --- headers --------------------------------------------------------------------------------------


def test_answer_that_used_the_session_varies_on_the_cookie(engine: str, visit: Visit) -> None:
    assert visit(read).headers["Vary"] == "Cookie"
    assert "Vary" not in visit().headers
    assert visit(write(x=1)).headers["Vary"] == "Cookie"
    assert visit(read).headers["Vary"] == "Cookie"


def test_answer_with_a_session_cookie_is_not_stored(engine: str, visit: Visit) -> None:
    assert visit(write(x=1)).headers["Cache-Control"] == "private, no-store"
    assert "Cache-Control" not in visit(read).headers
    gone = visit(lambda request: request.session.flush())
    assert gone.headers["Cache-Control"] == "private, no-store"


def test_cache_control_of_the_view_stays(engine: str, visit: Visit) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.session["x"] = 1
        return HttpResponse(headers={"Cache-Control": "private, max-age=5", "Vary": "Accept"})

    response = visit(view)
    assert response.headers["Cache-Control"] == "private, max-age=5"
    assert response.headers["Vary"] == "Accept, Cookie"


@pytest.mark.parametrize(
    ("name", "domain", "path", "httponly"),
    [
        ("sessionid", None, "/", True),
        ("sessionid", "example.com", "/app/", True),
        ("session", None, "/", True),
        ("__Host-session", None, "/", True),
        ("__Host-session", None, "/", False),
        ("__Secure-session", "example.com", "/", True),
        ("__Http-session", None, "/", True),
        ("__Host-Http-session", None, "/", True),
    ],
)
def test_cookie_is_deleted_with_the_attributes_it_was_set_with(
    engine: str, visit: Visit, settings: Any, name: str, domain: Any, path: str, httponly: bool
) -> None:
    settings.SESSION_COOKIE_NAME = name
    settings.SESSION_COOKIE_DOMAIN = domain
    settings.SESSION_COOKIE_PATH = path
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    settings.SESSION_COOKIE_SECURE = name != "sessionid"
    settings.SESSION_COOKIE_HTTPONLY = httponly
    made = visit(write(x=1)).cookies[name]
    gone = visit(lambda request: request.session.flush()).cookies[name]
    # A browser reads these to find the cookie, or refuses a Set-Cookie without them.
    seen = ["path", "domain", "samesite", "secure"]
    seen += ["httponly"] if "http-" in name.lower() else []
    assert [gone[key] for key in seen] == [made[key] for key in seen]
    assert made["secure"] == ("" if name == "sessionid" else True)
    assert (gone.value, gone["max-age"]) == ("", 0)


def test_request_without_a_cookie_header_is_anonymous(engine: str) -> None:
    """The test client always sends one, if an empty one."""
    middleware = SessionMiddleware(lambda request: HttpResponse(str(request.session.is_empty())))
    assert middleware(HttpRequest()).content == b"True"


# --- writing --------------------------------------------------------------------------------------


def test_visitor_who_stores_nothing_gets_no_session(engine: str, visit: Visit) -> None:
    assert not visit(read).cookies
    assert not Session.objects.exists()


def test_session_that_ended_during_the_request_answers_400_and_sets_no_cookie(
    db_engine: None, visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    def view(request: HttpRequest) -> str:
        request.session["x"] = 2
        Session._base_manager.all().delete()
        return "too late"

    visit(write(x=1))
    response = visit(view)
    assert response.status_code == 400
    assert not response.cookies
    assert caplog.messages == [
        "The request's session was deleted before the request completed. "
        "The user may have logged out in a concurrent request, for example.: /"
    ]


def test_session_that_ended_during_a_request_that_only_read_is_not_extended(
    db_engine: None, visit: Visit, clock: Any
) -> None:
    def view(request: HttpRequest) -> str:
        value = request.session["x"]
        Session._base_manager.all().delete()
        return str(value)

    visit(write(x=1))
    clock.shift(WEEK - 10)
    response = visit(view)
    assert (response.status_code, response.cookies) == (200, {})
    assert not Session.objects.exists()


def test_data_that_was_changed_in_place_is_saved_when_the_view_says_so(
    engine: str, visit: Visit
) -> None:
    def view(request: HttpRequest) -> str:
        request.session["cart"]["items"].append(2)
        request.session.modified = True
        return ""

    visit(write(cart={"items": [1]}))
    visit(view)
    assert visit(read).content == b"[('cart', {'items': [1, 2]})]"


def test_modified_said_without_a_look_keeps_the_data(engine: str, visit: Visit) -> None:
    def view(request: HttpRequest) -> str:
        request.session.modified = True
        return ""

    visit(write(x=1))
    assert visit(view).cookies
    assert visit(read).content == b"[('x', 1)]"


# --- other engines, other middleware --------------------------------------------------------------


@pytest.mark.parametrize("backend", ["signed_cookies", "cache", "file"])
@pytest.mark.parametrize("every_request", [False, True])
def test_django_s_engines_work_under_our_middleware(
    visit: Visit, settings: Any, tmp_path: Any, backend: str, every_request: bool
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{backend}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.SESSION_SAVE_EVERY_REQUEST = every_request
    assert not visit(read).cookies
    assert visit(write(x=1)).cookies["sessionid"]["max-age"] == WEEK
    response = visit(read)
    assert response.content == b"[('x', 1)]"
    assert bool(response.cookies) is every_request
    assert visit(lambda request: request.session.flush()).cookies["sessionid"]["max-age"] == 0


@pytest.mark.parametrize(
    ("age", "said"), [(0, ("", "")), (100, (100, "Thu, 01 Jan 2026 00:18:20 GMT"))]
)
def test_django_s_engines_date_their_cookies_as_the_session_says(
    visit: Visit, clock: Any, settings: Any, age: int, said: Any
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    morsel = visit(lambda request: request.session.set_expiry(age)).cookies["sessionid"]
    assert (morsel["max-age"], morsel["expires"]) == said


def test_page_that_does_not_use_the_session_of_django_s_engine_does_not_load_it(
    visit: Visit, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    visit(write(x=1))
    loads: list[Any] = []
    monkeypatch.setattr(f"{settings.SESSION_ENGINE}.SessionStore.load", loads.append)
    assert visit().content == b"untouched"
    assert not loads


def test_our_engines_work_under_the_stock_middleware(
    engine: str, visit: Visit, settings: Any, user: Any, client: Client
) -> None:
    use_middleware(settings, STOCK_MIDDLEWARE)
    visit(write(x=1))
    client.force_login(user)
    visit(write(y=2))
    assert visit(lambda request: (request.user.username, request.session["y"])).content == (
        b"('ada', 2)"
    )
    assert visit(lambda request: request.session.flush()).cookies["sessionid"]["max-age"] == 0
    assert visit(lambda request: request.user.is_anonymous).content == b"True"


def test_middleware_is_the_one_that_the_admin_asks_for() -> None:
    from django.contrib.sessions.middleware import SessionMiddleware
    from django.utils.module_loading import import_string

    assert issubclass(import_string(OUR_MIDDLEWARE), SessionMiddleware)
    assert NOW % WEEK == 1000


@pytest.mark.parametrize(
    ("debug", "testing", "starts"),
    [(False, False, False), (True, False, True), (False, True, True)],
)
def test_short_secret_serves_developers_and_tests_alone(
    engine: str,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    debug: bool,
    testing: bool,
    starts: bool,
) -> None:
    monkeypatch.setattr("django_jwtsession.middleware.in_test_environment", lambda: testing)
    settings.SECRET_KEY, settings.DEBUG = "test", debug
    with nullcontext() if starts else pytest.raises(ImproperlyConfigured, match="32 bytes"):
        SessionMiddleware(lambda _: None)


def test_what_an_app_puts_inside_is_asked_before_each_view(
    engine: str, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inside(get_response: Any) -> Any:
        def middleware(request: HttpRequest) -> Any:
            return get_response(request)

        guarded: Any = middleware
        guarded.process_view = lambda *_: HttpResponse("guarded")
        return guarded

    assert visit().content == b"untouched"
    monkeypatch.setattr(SessionMiddleware, "inside", staticmethod(inside))
    assert visit(by=Client()).content == b"guarded"


# --- views in transactions ------------------------------------------------------------------------


@pytest.fixture
def order(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """With ATOMIC_REQUESTS: what was done, in its order."""
    done: list[str] = []
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    settings.SESSION_COOKIE_NAME = "sessionid"  # which makes a process look at its settings anew
    monkeypatch.setattr(Feed, "refresh", lambda *_: done.append("feed"))
    return done


def test_feed_is_asked_before_the_transaction_of_the_view(
    engine: str, visit: Visit, order: list[str]
) -> None:
    """Inside of it what others end meanwhile may not be seen."""
    visit(write(x=1))
    order.clear()
    visit(lambda _: order.append("view"))
    assert order == ["feed", "view"]


def test_visitor_without_a_session_asks_no_feed(
    engine: str, visit: Visit, order: list[str]
) -> None:
    visit(lambda _: order.append("view"))
    visit(lambda _: order.append("view"), headers={"cookie": "csrftoken=1"})
    assert order == ["view", "view"]


def test_feed_that_cannot_be_asked_leaves_alone_who_uses_no_session(
    engine: str, visit: Visit, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    visit(write(x=1))

    def fail(*_: Any) -> None:
        raise FeedUnavailable

    monkeypatch.setattr(Feed, "refresh", fail)
    assert visit().content == b"untouched"


def test_engine_of_django_asks_no_feed(visit: Visit, order: list[str], settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    visit(write(x=1))
    visit(lambda _: order.append("view"))
    assert order == ["view"]
