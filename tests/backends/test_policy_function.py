"""`POLICY`: one function, asked at login, says how long sessions live and how many there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.test import Client

from django_jwtsession.models import Session, SessionEvent
from django_jwtsession.policy import LoginRefused, Policy, staff

from ..conftest import DAY
from ..helpers.visitor import MODES, Visitor

PASSWORD = "correct horse"
HOUR = 3600
pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.helpers.login_urls")]


@pytest.fixture(autouse=True)
def policies(engine: str, settings: Any, clock: Any) -> Iterator[ModuleType]:
    """The functions; each test says what they answer for whom."""
    from ..helpers import policies

    settings.JWTSESSION = {"POLICY": "tests.helpers.policies.policy"}
    settings.LOGIN_REDIRECT_URL = "/"
    yield policies
    policies.asked.clear()
    policies.answers.clear()


# A limit counts rows.
with_rows = pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)


def logged_in(user: User, mode: str = "sync") -> Visitor:
    visitor = Visitor(mode)
    visitor.login(user)
    return visitor


def form(client: Client, **data: str) -> Any:
    return client.post("/login/", {"username": "ada", "password": PASSWORD} | data)


def lives(visitor: Visitor, clock: Any, seconds: float, step: float) -> float:
    """Use a session every `step` seconds; return for how long it let its user in."""
    for number in range(int(seconds // step)):
        clock.shift(step)
        if visitor.who() != "ada":
            return number * step
    return seconds


# --- when it is asked -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_function_is_asked_at_login_and_never_again(
    mode: str, user: User, policies: Any, clock: Any
) -> None:
    visitor = Visitor(mode)
    visitor.put(x=1)
    assert policies.asked == []
    visitor.login(user)
    [(whom, request)] = policies.asked
    assert whom == user
    assert request.META["REMOTE_ADDR"] == "127.0.0.1"
    for _ in range(3):
        clock.shift(DAY)
        visitor.put(x=2)
        assert visitor.who() == "ada"
    assert len(policies.asked) == 1


def test_answer_is_kept_in_the_session(user: User, policies: Any, clock: Any) -> None:
    policies.answers["ada"] = {"idle": HOUR}
    strict = logged_in(user)
    policies.answers.clear()
    lax = logged_in(user)
    clock.shift(2 * HOUR)
    assert strict.who() == ""
    assert lax.who() == "ada"


def test_answer_survives_a_new_key_and_a_write(user: User, policies: Any, clock: Any) -> None:
    policies.answers["ada"] = {"idle": HOUR, "absolute": 12 * HOUR}
    visitor = logged_in(user)
    policies.answers.clear()
    visitor.do(lambda request: request.session.cycle_key())
    visitor.put(x=1)
    clock.shift(2 * HOUR)
    assert visitor.who() == ""


def test_answer_is_not_shown_among_the_session_s_data(user: User, policies: Any) -> None:
    policies.answers["ada"] = {"idle": HOUR}
    assert logged_in(user).data() == {}


def test_answer_goes_with_its_user(
    user: User, policies: Any, clock: Any, django_user_model: Any
) -> None:
    policies.answers["ada"] = {"idle": HOUR}
    visitor = logged_in(user)
    visitor.login(django_user_model.objects.create_user("bob"))
    clock.shift(2 * HOUR)
    assert visitor.who() == "bob"


# --- idle and absolute ----------------------------------------------------------------------------


@pytest.mark.parametrize("hour", [HOUR, timedelta(hours=1)], ids=["seconds", "timedelta"])
def test_idle_age_is_the_answer_s(user: User, policies: Any, clock: Any, hour: Any) -> None:
    policies.answers["ada"] = {"idle": hour}
    visitor = logged_in(user)
    assert lives(visitor, clock, 12 * HOUR, HOUR / 4) == 12 * HOUR
    clock.shift(HOUR + 1)
    assert visitor.who() == ""


def test_cookie_lives_for_the_idle_age(user: User, policies: Any) -> None:
    policies.answers["ada"] = {"idle": HOUR, "persistent": True}
    visitor = logged_in(user)
    assert visitor.response.cookies["sessionid"]["max-age"] == HOUR


@pytest.mark.requirement("ASVS 7.3.2")
def test_absolute_age_is_the_answer_s_and_nothing_extends_it(
    user: User, policies: Any, clock: Any
) -> None:
    policies.answers["ada"] = {"absolute": 12 * HOUR}
    visitor = logged_in(user)
    assert 11 * HOUR <= lives(visitor, clock, DAY, HOUR) <= 12 * HOUR


def test_absolute_age_counts_from_the_login_and_not_from_a_new_key(
    user: User, policies: Any, clock: Any
) -> None:
    policies.answers["ada"] = {"absolute": 12 * HOUR}
    visitor = logged_in(user)
    clock.shift(11 * HOUR)
    visitor.do(lambda request: request.session.cycle_key())
    clock.shift(2 * HOUR)
    assert visitor.who() == ""


def test_answer_of_nothing_leaves_the_settings(
    user: User, policies: Any, clock: Any, settings: Any
) -> None:
    visitor = logged_in(user)
    assert visitor.response.cookies["sessionid"]["max-age"] == settings.SESSION_COOKIE_AGE
    clock.shift(6 * DAY)
    assert visitor.who() == "ada"


def test_anonymous_visitors_have_the_site_s_ages(policies: Any, clock: Any) -> None:
    visitor = Visitor()
    visitor.put(x=1)
    clock.shift(6 * DAY)
    assert visitor.data() == {"x": 1}
    assert policies.asked == []


# --- how many -------------------------------------------------------------------------------------


@with_rows
def test_oldest_session_ends_over_the_limit(user: User, policies: Any, clock: Any) -> None:
    policies.answers["ada"] = {"limit": 2}
    visitors = []
    for _ in range(3):
        visitors.append(logged_in(user))
        clock.shift(60)
    assert [visitor.who() for visitor in visitors] == ["", "ada", "ada"]


@with_rows
@pytest.mark.requirement("ASVS 7.1.2")
def test_login_over_the_limit_is_refused_where_the_answer_says_so(
    user: User, policies: Any, clock: Any
) -> None:
    policies.answers["ada"] = {"limit": 2, "on_limit": "refuse"}
    first, second, third = Client(), Client(), Client()
    assert form(first).status_code == 302
    clock.shift(60)
    assert form(second).status_code == 302
    clock.shift(60)
    refused = form(third)
    assert refused.status_code == 200  # the form again, which says why
    assert Visitor(cookie=cookie_of(third)).who() == ""
    assert [Visitor(cookie=cookie_of(client)).who() for client in (first, second)] == ["ada"] * 2
    assert SessionEvent.objects.filter(kind="login").count() == 2
    Visitor(cookie=cookie_of(first)).logout()
    assert form(third).status_code == 302
    assert Visitor(cookie=cookie_of(third)).who() == "ada"


@with_rows
def test_login_of_who_is_logged_in_already_is_no_session_more(
    user: User, policies: Any, clock: Any
) -> None:
    policies.answers["ada"] = {"limit": 1, "on_limit": "refuse"}
    visitor = logged_in(user)
    clock.shift(60)
    visitor.login(user)
    assert visitor.who() == "ada"


@with_rows
def test_limit_of_one_user_is_none_of_another_s(
    user: User, policies: Any, django_user_model: Any
) -> None:
    policies.answers["ada"] = {"limit": 1}
    bob = django_user_model.objects.create_user("bob")
    visitors = [logged_in(bob), logged_in(bob), logged_in(user)]
    assert [visitor.who() for visitor in visitors] == ["bob", "bob", "ada"]


@with_rows
def test_limit_of_the_answer_goes_before_the_setting(
    user: User, policies: Any, settings: Any, clock: Any
) -> None:
    settings.JWTSESSION = settings.JWTSESSION | {"MAX_SESSIONS_PER_USER": 1}
    policies.answers["ada"] = {"limit": 2}
    visitors = []
    for _ in range(3):
        visitors.append(logged_in(user))
        clock.shift(60)
    assert [visitor.who() for visitor in visitors] == ["", "ada", "ada"]


# --- kept or not ----------------------------------------------------------------------------------


def cookie_of(client: Client) -> str:
    morsel = client.cookies.get("sessionid")
    return morsel.value if morsel else ""


@pytest.mark.parametrize("by_setting", [False, True])
@pytest.mark.parametrize("persistent", [True, False, None])
def test_answer_says_whether_the_browser_keeps_the_cookie(
    user: User, policies: Any, settings: Any, persistent: bool | None, by_setting: bool
) -> None:
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = by_setting
    policies.answers["ada"] = {"persistent": persistent}
    visitor = logged_in(user)
    for _ in range(2):
        max_age = visitor.response.cookies["sessionid"]["max-age"]
        kept = persistent if persistent is not None else not by_setting
        assert bool(max_age) is kept
        visitor.put(x=1)


def checkbox(client: Client) -> str:
    """Return the name of the login form's "Keep me signed in"."""
    page = client.get("/login/").content.decode()
    boxes = [tag for tag in re.findall(r"<input[^>]*>", page) if 'type="checkbox"' in tag]
    assert boxes, "the login form has no checkbox"
    [name] = re.findall(r'name="([^"]+)"', boxes[0])
    return str(name)


@pytest.mark.parametrize("tick", [True, False])
def test_keep_me_signed_in_sets_persistent(
    user: User, policies: Any, settings: Any, tick: bool
) -> None:
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = True
    client = Client()
    name = checkbox(client)
    answer = form(client, **({name: "on"} if tick else {}))
    assert answer.status_code == 302
    assert bool(answer.cookies["sessionid"]["max-age"]) is tick


def test_keep_me_signed_in_works_without_a_policy(user: User, settings: Any) -> None:
    settings.JWTSESSION = {}
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = True
    client = Client()
    answer = form(client, **{checkbox(client): "on"})
    assert answer.cookies["sessionid"]["max-age"]


# --- around it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["tests.nowhere.policy", "tests.helpers.policies.asked", 7])
def test_policy_that_is_no_function_is_an_error_of_check(settings: Any, value: Any) -> None:
    settings.JWTSESSION = {"POLICY": value}
    errors = [message for message in checks.run_checks() if message.level >= checks.ERROR]
    assert any("POLICY" in str(message) for message in errors)


def test_ready_made_policy_keeps_staff_for_an_hour_and_twelve(
    user: User, settings: Any, clock: Any
) -> None:
    settings.JWTSESSION = {"POLICY": "django_jwtsession.policy.staff"}
    user.is_staff = True
    user.save()
    visitor = logged_in(user)
    assert 11 * HOUR <= lives(visitor, clock, DAY, HOUR / 2) <= 12 * HOUR
    visitor = logged_in(user)
    clock.shift(HOUR + 1)
    assert visitor.who() == ""


def test_ready_made_policy_leaves_customers_alone(user: User, settings: Any, clock: Any) -> None:
    settings.JWTSESSION = {"POLICY": "django_jwtsession.policy.staff"}
    visitor = logged_in(user)
    assert lives(visitor, clock, 12 * DAY, DAY) == 12 * DAY


def test_policy_changes_nothing_for_another_engine(
    user: User, settings: Any, policies: Any
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert logged_in(user).who() == "ada"


# --- what is refused, and what is wrong -----------------------------------------------------------


@with_rows
def test_refused_login_stores_nothing_and_says_why(user: User, policies: Any, clock: Any) -> None:
    policies.answers["ada"] = {"limit": 1, "on_limit": "refuse"}
    form(Client())
    clock.shift(60)
    client = Client()
    refused = form(client)
    assert "as many devices as are allowed" in refused.content.decode()
    assert cookie_of(client) == ""
    assert Session.objects.count() == 1


@with_rows
def test_login_view_of_the_site_s_own_gets_a_403_and_the_visitor_keeps_the_cart(
    user: User, policies: Any, clock: Any
) -> None:
    policies.answers["ada"] = {"limit": 1, "on_limit": "refuse"}
    assert logged_in(user).who() == "ada"
    clock.shift(60)
    visitor = Visitor()
    visitor.put(cart=[7])

    def log_in(request: Any) -> None:
        with pytest.raises(LoginRefused):
            login(request, user, "django.contrib.auth.backends.ModelBackend")

    visitor.do(log_in)
    assert visitor.who() == ""
    assert visitor.data() == {"cart": [7]}
    assert SessionEvent.objects.filter(kind="login").count() == 1


@with_rows
def test_session_that_has_expired_is_in_nobody_s_way(user: User, policies: Any, clock: Any) -> None:
    policies.answers["ada"] = {"limit": 1, "on_limit": "refuse", "idle": HOUR}
    assert form(Client()).status_code == 302
    clock.shift(HOUR + 1)
    assert form(Client()).status_code == 302


@with_rows
def test_login_that_was_admitted_beside_another_ends_itself_and_not_the_older(
    user: User, policies: Any, clock: Any, monkeypatch: Any, store: Any
) -> None:
    policies.answers["ada"] = {"limit": 1, "on_limit": "refuse"}
    first = logged_in(user)
    clock.shift(60)
    monkeypatch.setattr(store, "_is_full", lambda *_: False)  # as it was a moment ago
    second = logged_in(user)
    assert (first.who(), second.who()) == ("ada", "")


@pytest.mark.parametrize("answer", [None, {"idle": HOUR}, HOUR])
def test_answer_that_is_no_policy_is_named_with_what_to_return(
    user: User, policies: Any, monkeypatch: Any, answer: Any
) -> None:
    monkeypatch.setattr(policies, "policy", lambda *_: answer)
    with pytest.raises(ImproperlyConfigured, match=r"Return django_jwtsession\.policy\.Policy"):
        form(Client())


def test_what_the_function_raises_is_the_site_s_error(
    user: User, policies: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(policies, "policy", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        form(Client())


@pytest.mark.parametrize(
    "wrong",
    [
        {"idle": 0},
        {"idle": "1 h"},
        {"absolute": -1},
        {"absolute": True},
        {"limit": 0},
        {"limit": 1.5},
        {"on_limit": "newest"},
        {"persistent": "yes"},
        {"persistent": 2},
    ],
)
def test_policy_takes_only_what_it_means(wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(ValueError, match=f"Policy.{name} must be"):
        Policy(**wrong)


@pytest.mark.parametrize("seconds", [0.5, 1, 100 * 366 * DAY])
def test_policy_takes_half_a_second_and_a_hundred_years(seconds: float) -> None:
    policy = Policy(idle=seconds, absolute=seconds)
    assert (policy.idle, policy.absolute) == (seconds, seconds)


def test_ready_made_policy_takes_users_of_a_model_without_staff() -> None:
    assert staff(object(), HttpRequest()) == Policy()


def test_absolute_age_of_the_settings_ends_every_login(
    user: User, policies: Any, settings: Any, clock: Any
) -> None:
    settings.JWTSESSION = settings.JWTSESSION | {"ABSOLUTE_AGE": DAY}
    policies.answers["ada"] = {"absolute": 30 * DAY}
    assert lives(logged_in(user), clock, 2 * DAY, DAY / 8) <= DAY


def test_own_set_expiry_wins_over_the_policy(user: User, policies: Any, clock: Any) -> None:
    policies.answers["ada"] = {"idle": HOUR, "persistent": False}
    visitor = logged_in(user)
    visitor.do(lambda request: request.session.set_expiry(5 * HOUR))
    assert visitor.response.cookies["sessionid"]["max-age"] == 5 * HOUR
    clock.shift(4 * HOUR)
    assert visitor.who() == "ada"


def test_policy_s_no_goes_before_the_user_s_wish(user: User, policies: Any, settings: Any) -> None:
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = True
    policies.answers["ada"] = {"persistent": False}
    client = Client()
    answer = form(client, **{checkbox(client): "on"})
    assert not answer.cookies["sessionid"]["max-age"]


def test_nobody_is_asked_where_the_browser_keeps_the_session_anyway(settings: Any) -> None:
    settings.JWTSESSION = {}
    assert 'type="checkbox"' not in Client().get("/login/").content.decode()


def test_later_login_without_a_policy_has_the_settings_again(
    user: User, policies: Any, settings: Any, clock: Any
) -> None:
    policies.answers["ada"] = {"idle": HOUR, "persistent": False}
    visitor = logged_in(user)
    settings.JWTSESSION = {}
    visitor.login(user)
    assert visitor.response.cookies["sessionid"]["max-age"] == settings.SESSION_COOKIE_AGE
    clock.shift(DAY)
    assert visitor.who() == "ada"
