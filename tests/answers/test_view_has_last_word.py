"""What a view or a site's middleware says of the session and its cookie is heard."""

from __future__ import annotations

from types import MethodType
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse

from ..conftest import OUR_MIDDLEWARE, WEEK, read, write
from .conftest import Asker

pytestmark = pytest.mark.django_db
HERE = "tests.answers.test_view_has_last_word"


def test_cookie_that_the_view_deleted_stays_deleted(engine: str, ask: Asker, clock: Any) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.session.get("x")
        response = HttpResponse()
        response.delete_cookie("sessionid")
        return response

    ask(write(x=1))
    clock.shift(WEEK / 2 + 10)
    response = ask(view)
    assert response.cookies["sessionid"].value == ""
    assert response.cookies["sessionid"]["max-age"] == 0


def test_cookie_that_the_view_set_stays_set(engine: str, ask: Asker, clock: Any) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.session.get("x")
        response = HttpResponse()
        response.set_cookie("sessionid", "another", domain="example.com")
        return response

    ask(write(x=1))
    clock.shift(WEEK / 2 + 10)
    cookie = ask(view).cookies["sessionid"]
    assert (cookie.value, cookie["domain"]) == ("another", "example.com")


def domain_by_host(get_response: Any) -> Any:
    """As sites with many domains do: the answer's own methods are replaced."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)
        by_host(response)
        return response

    return middleware


def by_host(response: HttpResponse) -> None:
    set_cookie, delete_cookie = response.set_cookie, response.delete_cookie

    def set_by_host(self: Any, *args: Any, **kwargs: Any) -> None:
        set_cookie(*args, **kwargs | {"domain": "shop.example"})

    def delete_by_host(self: Any, *args: Any, **kwargs: Any) -> None:
        delete_cookie(*args, **kwargs | {"domain": "shop.example"})

    response.set_cookie = MethodType(set_by_host, response)  # type: ignore[method-assign]
    response.delete_cookie = MethodType(delete_by_host, response)  # type: ignore[method-assign]


def test_overridden_set_cookie_and_delete_cookie_are_heard(
    engine: str, ask: Asker, settings: Any
) -> None:
    settings.MIDDLEWARE = [OUR_MIDDLEWARE, f"{HERE}.domain_by_host"]
    assert ask(write(x=1)).cookies["sessionid"]["domain"] == "shop.example"
    gone = ask(lambda request: request.session.flush()).cookies["sessionid"]
    assert (gone["domain"], gone["max-age"]) == ("shop.example", 0)


class Replaced:
    """Puts something else into the place of the session."""

    replacement: Any = None


def replacing(get_response: Any) -> Any:
    def middleware(request: HttpRequest) -> Any:
        request.session = Replaced.replacement
        return get_response(request)

    return middleware


@pytest.mark.parametrize(
    "replacement", [{}, {"x": 1}, None, object()], ids=["empty", "dict", "None", "object"]
)
def test_what_stands_in_the_place_of_the_session_is_left_alone(
    engine: str, ask: Asker, settings: Any, monkeypatch: pytest.MonkeyPatch, replacement: Any
) -> None:
    ask(write(x=1))
    monkeypatch.setattr(Replaced, "replacement", replacement)
    settings.MIDDLEWARE = [OUR_MIDDLEWARE, f"{HERE}.replacing"]
    response = ask(lambda _: "fine")
    assert (response.status_code, response.content) == (200, b"fine")
    assert not response.cookies
    settings.MIDDLEWARE = [OUR_MIDDLEWARE]
    assert ask(read).content == b"[('x', 1)]"


def test_session_may_be_taken_away(engine: str, ask: Asker, settings: Any) -> None:
    settings.MIDDLEWARE = [OUR_MIDDLEWARE]

    def view(request: HttpRequest) -> str:
        del request.session
        return "fine"

    assert ask(view).content == b"fine"
