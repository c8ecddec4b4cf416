"""A token under an older key, or of another algorithm, goes out under the newest."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as site
from django.http import HttpResponse
from django.test import Client

from ..conftest import WEEK, Visit, cookie, read, write

pytestmark = pytest.mark.django_db

# The hybrid engine issues a token whenever it has read the row: after a minute.
COPY = 61


def header(token: str) -> str:
    return token.partition(".")[0]


def test_token_under_an_older_key_goes_out_under_the_newest(
    engine: str, visit: Visit, client: Client, settings: Any, clock: Any
) -> None:
    settings.SECRET_KEY_FALLBACKS = []
    visit(write(x=1))
    old = cookie(client)
    settings.SECRET_KEY_FALLBACKS = [site.SECRET_KEY]
    settings.SECRET_KEY = "the next secret key, it has more than thirty-two bytes"
    clock.shift(COPY)
    assert visit(read).content == b"[('x', 1)]"
    new = cookie(client)
    assert header(new) != header(old)
    assert not visit(read).cookies
    # The row is sealed anew when it is extended, once half of the time is over.
    clock.shift(WEEK / 2)
    assert visit(read).content == b"[('x', 1)]"
    settings.SECRET_KEY_FALLBACKS = []
    clock.shift(COPY)
    assert visit(read).content == b"[('x', 1)]"


def test_token_goes_out_under_the_key_of_the_week(
    engine: str, visit: Visit, client: Client, clock: Any
) -> None:
    clock.shift(WEEK - 2000)
    visit(write(x=1))
    old, expires = cookie(client), WEEK
    clock.shift(1001)
    response = visit(read)
    assert header(response.cookies["sessionid"].value) != header(old)
    assert response.content == b"[('x', 1)]"
    assert response.cookies["sessionid"]["max-age"] in (expires, expires - 1001)
    assert not visit(read).cookies


def test_renewed_token_does_not_lengthen_a_session(
    engine: str, visit: Visit, client: Client, clock: Any
) -> None:
    clock.shift(WEEK - 2000)
    visit(write(x=1))
    clock.shift(1001)
    assert visit(read).cookies  # the new week's key
    clock.shift(WEEK - 1000)
    assert visit(read).content == b"[]"


def test_site_moves_to_another_algorithm_and_nobody_is_logged_out(
    engine: str, visit: Visit, client: Client, settings: Any, clock: Any
) -> None:
    visit(write(x=1))
    settings.JWTSESSION = {"ALGORITHMS": ["HS256", "A256GCM"]}
    clock.shift(COPY)
    assert visit(read).content == b"[('x', 1)]"
    assert cookie(client).count(".") == 2
    settings.JWTSESSION = {"ALGORITHMS": ["HS256"]}
    assert visit(read).content == b"[('x', 1)]"


def test_server_error_renews_no_token(engine: str, visit: Visit, clock: Any) -> None:
    def view(request: Any) -> Any:
        return HttpResponse(read(request).content, status=500)

    clock.shift(WEEK - 2000)
    visit(write(x=1))
    clock.shift(1001)
    response = visit(view)
    assert response.content == b"[('x', 1)]"
    assert not response.cookies


def test_token_without_a_known_key_is_an_anonymous_visitor(
    engine: str, visit: Visit, client: Client, settings: Any, security_log: Any
) -> None:
    visit(write(x=1))
    settings.SECRET_KEY = "a key that was replaced with no fallback, 32 bytes or more"
    assert visit(read).content == b"[]"
    assert [record.reason for record in security_log] == ["unknown_key"]
