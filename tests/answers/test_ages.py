"""Short ages, and ages that are no whole numbers."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.http import HttpRequest
from django.utils import timezone

from ..conftest import read, write
from .conftest import Asker

pytestmark = pytest.mark.django_db


def expiring(age: float) -> Any:
    def view(request: HttpRequest) -> str:
        request.session["x"] = 1
        request.session.set_expiry(age)
        return ""

    return view


@pytest.mark.parametrize("switches_on", [True, False])
def test_session_with_a_fixed_end_goes_on_where_use_tz_is_switched(
    engine: str, ask: Asker, clock: Any, settings: Any, switches_on: bool
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = not switches_on, "America/New_York"
    ask(write(x=1))
    ask(lambda request: request.session.set_expiry(timedelta(days=2)))
    settings.USE_TZ = switches_on
    clock.shift(86400)
    assert ask(lambda request: request.session["x"]).content == b"1"
    ask(write(x=2))
    clock.shift(86390)
    assert ask(lambda request: request.session["x"]).content == b"2"
    clock.shift(20)
    assert ask(read).content == b"[]"


async def test_fixed_end_without_a_zone_is_the_sites_time(
    transactional_db: None, store: Any, clock: Any, settings: Any
) -> None:
    settings.TIME_ZONE = "America/New_York"
    session, end = store(), timezone.localtime() + timedelta(hours=1)
    await session.aset_expiry(end.replace(tzinfo=None))
    assert await session.aget_expiry_age() == session.get_expiry_age() == 3600
    assert await session.aget_expiry_date() == session.get_expiry_date() == end


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("rest", [0.0, 0.25, 0.999])
def test_session_with_a_fixed_end_ends_then_and_not_a_second_before(
    engine: str, ask: Asker, clock: Any, rest: float, is_stored: bool
) -> None:
    """The engine `cookie` has whole seconds: it may end in the last one."""
    clock.shift(0.6)
    end = timezone.now().replace(microsecond=0) + timedelta(seconds=90 + rest)
    early = rest if engine == "cookie" else 0.0

    def view(request: HttpRequest) -> str:
        request.session.set_expiry(end)
        return ""

    ask(view)
    if is_stored:  # again, from another part of a second
        clock.shift(30.7)
    ask(write(x=1))
    clock.shift((end - timezone.now()).total_seconds() - early - 0.001)
    assert ask(read).content != b"[]"
    clock.shift(early + 0.002)
    assert ask(read).content == b"[]"


# Ages that thirds divide and that they do not, from each part of a second.
@pytest.mark.parametrize(
    ("age", "start", "by"),
    [
        (2, 0.0, "setting"),
        (2, 0.999, "set_expiry"),
        (3, 0.4, "setting"),
        (3, 0.999, "set_expiry"),
        (6, 0.0, "set_expiry"),
        (7, 0.4, "set_expiry"),
        (7, 0.999, "setting"),
        (119, 0.4, "set_expiry"),
        (119, 0.999, "setting"),
    ],
)
@pytest.mark.requirement("ASVS 7.3.1")
def test_visitor_who_comes_every_third_of_the_age_stays_and_who_idles_is_out(
    engine: str, ask: Asker, clock: Any, settings: Any, age: int, start: float, by: str
) -> None:
    clock.shift(start)
    if by == "setting":
        settings.SESSION_COOKIE_AGE = age
        ask(write(x=1))
    else:
        ask(expiring(age))
    step = max(1, age // 3)
    for second in range(step, 3 * age, step):
        clock.shift(step)
        assert ask(lambda request: request.session.get("x")).content == b"1", second
    clock.shift(age + 1)
    assert ask(read).content == b"[]"


def test_a_second_apart_for_14_seconds_and_8_seconds_idle(
    engine: str, ask: Asker, clock: Any, settings: Any
) -> None:
    settings.SESSION_COOKIE_AGE = 6
    ask(write(x=1))
    for _ in range(14):
        clock.shift(1)
        assert ask(read).content == b"[('x', 1)]"
    clock.shift(8)
    assert ask(read).content == b"[]"


@pytest.mark.parametrize("age", [604800.0, timedelta(days=7).total_seconds(), 604800.7])
@pytest.mark.requirement("RFC 6265bis 4.1.2.2")
def test_max_age_is_a_whole_number(engine: str, ask: Asker, settings: Any, age: float) -> None:
    settings.SESSION_COOKIE_AGE = age
    said = ask(write(x=1)).cookies["sessionid"].OutputString()
    assert "Max-Age=604800;" in said


def test_max_age_of_an_expiry_with_a_fraction_is_a_whole_number(engine: str, ask: Asker) -> None:
    assert "Max-Age=100;" in ask(expiring(99.5)).cookies["sessionid"].OutputString()


def test_django_s_engines_get_a_whole_number_too(ask: Asker, settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert "Max-Age=100;" in ask(expiring(99.5)).cookies["sessionid"].OutputString()


@pytest.mark.parametrize("age", ["604800", "two weeks", None, timedelta(days=7), True])
def test_age_that_is_no_number_is_an_error_of_check_that_names_the_setting(
    settings: Any, age: Any
) -> None:
    settings.SESSION_COOKIE_AGE = age
    with pytest.raises(SystemCheckError) as caught:
        call_command("check", stderr=StringIO())
    assert "SESSION_COOKIE_AGE must be a number of seconds" in str(caught.value)


def test_age_that_is_no_number_is_one_line_where_the_server_starts(
    engine: str, settings: Any
) -> None:
    from django_jwtsession.middleware import SessionMiddleware

    settings.SESSION_COOKIE_AGE = "604800"
    with pytest.raises(ImproperlyConfigured, match="SESSION_COOKIE_AGE must be a number"):
        SessionMiddleware(lambda _: None)
