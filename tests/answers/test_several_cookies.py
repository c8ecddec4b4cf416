"""Several cookies of one name, and cookies from where the site had them before."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest

from ..conftest import WEEK, read, write
from .conftest import Asker

pytestmark = pytest.mark.django_db


def who(request: HttpRequest) -> str:
    return request.user.get_username() or "nobody"


def stale_ones(ask: Asker, clock: Any) -> dict[str, str]:
    """Return cookies that open nothing, each for another reason."""
    other = Asker(ask.mode)
    other(write(y=1))
    ended = other.cookie
    other(lambda request: request.session.flush())
    return {
        "ended": ended,
        "garbage": "this-is-no-token-at-all",
        "short": "x",
        "quoted": '"quoted"',
        "altered": ended[:-4] + "AAAA",
        "a key of Django's": "q5cfhv93dpmbc9yczvx1w2p0iw4q3d7v",
    }


@pytest.mark.parametrize("order", ["{good}; {stale}", "{stale}; {good}", "a=b; {stale};{good}; c="])
@pytest.mark.requirement("RFC 6265bis 8.6")
def test_good_cookie_counts_wherever_it_stands_and_is_never_deleted(
    engine: str, ask: Asker, user: Any, clock: Any, order: str
) -> None:
    ask.client.force_login(user)
    ask(read)  # answers the key that force_login() sets with a token
    for name, stale in stale_ones(ask, clock).items():
        cookies = order.format(good=f"sessionid={ask.cookie}", stale=f"sessionid={stale}")
        response = ask(who, cookies=cookies)
        assert response.content == b"ada", name
        assert not response.cookies, name


@pytest.mark.parametrize("order", ["{good}; {stale}", "{stale}; {good}"])
def test_good_one_of_several_is_written_to_and_extended(
    engine: str, ask: Asker, clock: Any, order: str
) -> None:
    ask(write(x=1))
    cookies = order.format(good=f"sessionid={ask.cookie}", stale="sessionid=no-token-at-all")
    response = ask(write(z=3), cookies=cookies)
    ask.client.cookies["sessionid"] = response.cookies["sessionid"].value
    assert ask(read).content == b"[('x', 1), ('z', 3)]"
    clock.shift(WEEK / 2 + 10)
    cookies = order.format(good=f"sessionid={ask.cookie}", stale="sessionid=no-token-at-all")
    assert ask(read, cookies=cookies).cookies["sessionid"]["max-age"] == WEEK


@pytest.mark.parametrize("order", ["{good}; {stale}", "{stale}; {good}"])
def test_logout_ends_the_good_one_of_several(
    engine: str, ask: Asker, user: Any, order: str
) -> None:
    ask.client.force_login(user)
    ask(read)  # answers the key that force_login() sets with a token
    cookies = order.format(good=f"sessionid={ask.cookie}", stale="sessionid=no-token-at-all")
    response = ask(lambda request: request.session.flush(), cookies=cookies)
    assert response.cookies["sessionid"]["max-age"] == 0
    assert ask(who).content == b"nobody"


def test_old_copy_of_the_same_session_beside_the_good_one_is_no_alarm(
    engine: str, ask: Asker, user: Any, clock: Any, settings: Any
) -> None:
    """The site has moved to another Domain: the browser keeps the cookie of the old one."""
    ask.client.force_login(user)
    ask(read)  # answers the key that force_login() sets with a token
    old = ask.cookie
    for _ in range(20):
        clock.shift(5000)
        ask(read)
    for cookies in (f"sessionid={old}; sessionid={ask.cookie}",) * 3:
        assert ask(who, cookies=cookies).content == b"ada"
        clock.shift(120)
    assert ask(who).content == b"ada"


@pytest.mark.parametrize("cookies", ["sessionid=gar.bage; sessionid=no-token-at-all"])
def test_several_that_are_all_no_tokens_are_deleted(engine: str, ask: Asker, cookies: str) -> None:
    assert ask(read, cookies=cookies).cookies["sessionid"]["max-age"] == 0


def test_several_of_which_one_may_be_good_elsewhere_are_left_alone(
    engine: str, ask: Asker, clock: Any
) -> None:
    ask(write(x=1))
    clock.shift(WEEK + 20)
    cookies = f"sessionid={ask.cookie}; sessionid=no-token-at-all"
    response = ask(read, cookies=cookies)
    assert (response.content, dict(response.cookies)) == (b"[]", {})


@pytest.mark.requirement("ASVS 3.3.3", "RFC 6265bis 8.6")
def test_hostile_subdomain_cannot_log_out(engine: str, ask: Asker, user: Any) -> None:
    ask.client.force_login(user)
    ask(read)  # answers the key that force_login() sets with a token
    planted = Asker(ask.mode)
    planted(write(planted=True))
    good = f"sessionid={ask.cookie}"
    # The good one stands first: an older cookie of the same Path does.
    response = ask(who, cookies=f"{good}; sessionid={planted.cookie}")
    assert (response.content, dict(response.cookies)) == (b"ada", {})


# --- COOKIE_WAS -----------------------------------------------------------------------------------


def sent(response: Any) -> list[tuple[str, str, str, bool]]:
    """Return name, Domain, Path of each Set-Cookie, and whether it deletes; as they go out."""
    found = []
    for morsel in response.cookies.values():
        deletes = morsel["max-age"] == 0
        found.append((morsel.key, morsel["domain"], morsel["path"], deletes))
        assert morsel.OutputString().startswith(f"{morsel.key}=")
    return sorted(found)


def test_site_moves_to_another_name_and_nobody_is_logged_out(
    engine: str, ask: Asker, user: Any, settings: Any, clock: Any
) -> None:
    ask.client.force_login(user)
    ask(read)  # answers the key that force_login() sets with a token
    ask(write(cart=1))
    settings.SESSION_COOKIE_NAME = "__Host-session"
    settings.SESSION_COOKIE_SECURE = True
    settings.JWTSESSION = {"COOKIE_WAS": [{"name": "sessionid"}]}
    old = f"sessionid={ask.cookie}"
    response = ask(who, cookies=old)
    assert response.content == b"ada"
    assert sent(response) == [("__Host-session", "", "/", False), ("sessionid", "", "/", True)]
    new = f"__Host-session={response.cookies['__Host-session'].value}"
    response = ask(who, cookies=new)
    assert (response.content, dict(response.cookies)) == (b"ada", {})
    # A browser that still has both: the new one counts, the old one goes.
    response = ask(who, cookies=f"{old}; {new}")
    assert response.content == b"ada"
    assert ("sessionid", "", "/", True) in sent(response)


def test_session_from_the_old_name_is_written_to_and_logged_out(
    engine: str, ask: Asker, user: Any, settings: Any
) -> None:
    ask.client.force_login(user)
    ask(read)  # answers the key that force_login() sets with a token
    settings.SESSION_COOKIE_NAME = "session"
    settings.JWTSESSION = {"COOKIE_WAS": [{"name": "sessionid"}]}
    response = ask(write(x=1), cookies=f"sessionid={ask.cookie}")
    assert sent(response) == [("session", "", "/", False), ("sessionid", "", "/", True)]
    new = response.cookies["session"].value
    assert ask(lambda request: request.session["x"], cookies=f"session={new}").content == b"1"
    response = ask(lambda request: request.session.flush(), cookies=f"sessionid={ask.cookie}")
    assert sent(response) == [("session", "", "/", True), ("sessionid", "", "/", True)]
    assert ask(who, cookies=f"session={new}").content == b"nobody"


@pytest.mark.parametrize(
    ("before", "after", "was"),
    [
        ({}, {"DOMAIN": "example.com"}, {"domain": None}),
        ({"DOMAIN": "example.com"}, {}, {"domain": "example.com"}),
        ({"PATH": "/app/"}, {}, {"path": "/app/"}),
    ],
)
def test_site_moves_to_another_domain_or_path_and_the_stale_cookie_goes(
    engine: str,
    ask: Asker,
    user: Any,
    settings: Any,
    clock: Any,
    before: dict[str, str],
    after: dict[str, str],
    was: dict[str, Any],
) -> None:
    for key, value in before.items():
        setattr(settings, f"SESSION_COOKIE_{key}", value)
    ask.client.force_login(user)
    ask(read)  # answers the key that force_login() sets with a token
    old = ask.cookie
    for key in before:
        setattr(settings, f"SESSION_COOKIE_{key}", {"DOMAIN": None, "PATH": "/"}[key])
    for key, value in after.items():
        setattr(settings, f"SESSION_COOKIE_{key}", value)
    settings.JWTSESSION = {"COOKIE_WAS": [was]}
    domain, path = after.get("DOMAIN", ""), after.get("PATH", "/")
    old_place = (before.get("DOMAIN", ""), before.get("PATH", "/"))
    clock.shift(WEEK / 2 + 10)
    response = ask(who, cookies=f"sessionid={old}")
    assert response.content == b"ada"
    expected = sorted([("sessionid", domain, path, False), ("sessionid", *old_place, True)])
    assert sent(response) == expected
    # Both came: the good one goes on, at today's place alone.
    new = response.cookies["sessionid"].value
    response = ask(who, cookies=f"sessionid=stale-and-no-token; sessionid={new}")
    assert response.content == b"ada"
    assert sent(response) == expected


def test_where_the_cookie_is_today_is_never_deleted(engine: str, ask: Asker, settings: Any) -> None:
    settings.SESSION_COOKIE_DOMAIN = ".example.com"
    settings.JWTSESSION = {
        "COOKIE_WAS": [{"name": "sessionid"}, {"path": "/"}, {"domain": "example.com"}]
    }
    ask(write(x=1))
    response = ask(write(x=2))
    assert sent(response) == [("sessionid", ".example.com", "/", False)]


def test_moving_waits_on_pages_that_others_may_store(
    engine: str, ask: Asker, user: Any, settings: Any
) -> None:
    from django.http import HttpResponse

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(who(request), headers={"Cache-Control": "public"})

    ask.client.force_login(user)
    ask(read)  # answers the key that force_login() sets with a token
    settings.SESSION_COOKIE_NAME = "session"
    settings.JWTSESSION = {"COOKIE_WAS": [{"name": "sessionid"}]}
    response = ask(view, cookies=f"sessionid={ask.cookie}")
    assert (response.content, dict(response.cookies)) == (b"ada", {})


def test_what_opens_nothing_under_the_old_name_is_deleted_there(
    engine: str, ask: Asker, settings: Any
) -> None:
    settings.SESSION_COOKIE_NAME = "session"
    settings.JWTSESSION = {"COOKIE_WAS": [{"name": "sessionid"}]}
    response = ask(read, cookies="sessionid=no-token-at-all")
    assert sent(response) == [("session", "", "/", True), ("sessionid", "", "/", True)]
    assert sent(ask(read, cookies="theme=dark")) == []


def test_django_s_engines_go_on_with_the_old_name(ask: Asker, settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    ask(write(x=1))
    settings.SESSION_COOKIE_NAME = "session"
    settings.JWTSESSION = {"COOKIE_WAS": [{"name": "sessionid"}]}
    assert ask(read, cookies=f"sessionid={ask.cookie}").content == b"[('x', 1)]"


@pytest.mark.parametrize("order", ["{new}; {old}", "{old}; {new}"])
def test_of_one_session_the_latest_epoch_counts_whatever_its_generation(
    ask: Asker, user: Any, clock: Any, settings: Any, order: str
) -> None:
    """Generations begin anew with each epoch."""
    settings.SESSION_ENGINE = "django_jwtsession.backends.hybrid"
    ask.client.force_login(user)
    for seconds in (0, 3700, 120, 120):  # the next generation is issued
        clock.shift(seconds)
        ask(read)
    old = ask.cookie
    ask(lambda request: request.session.prove())
    clock.shift(60)
    cookies = order.format(new=f"sessionid={ask.cookie}", old=f"sessionid={old}")
    assert ask(who, cookies=cookies).content == b"ada"
