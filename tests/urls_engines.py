"""One page that does what the test at hand says, sync at / and async at /async/."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path

View = Callable[[HttpRequest], Any]


def untouched(request: HttpRequest) -> HttpResponse:
    """A page that does not look into the session."""
    return HttpResponse("untouched")


class Page:
    """The view of the test; what it returns is the response, or the body of one."""

    view: View = staticmethod(untouched)


def page(request: HttpRequest) -> HttpResponse:
    return answer(Page.view(request))


async def apage(request: HttpRequest) -> HttpResponse:
    return answer(await Page.view(request))


def answer(result: Any) -> Any:
    return result if isinstance(result, HttpResponseBase) else HttpResponse(str(result))


urlpatterns = [path("", page), path("async/", apage)]
