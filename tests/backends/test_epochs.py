"""Epochs: what begins one makes every older token worthless, for everybody but who did it.

An older cookie may still read for a second, is nobody for five, and a new visitor after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from django_jwtsession.decorators import fresh_login
from django_jwtsession.models import SessionEvent
from django_jwtsession.revocation import revoke_session, revoke_user_sessions
from tests import urls, urls_engines

from ..helpers.visitor import MODES, Visitor

PASSWORD = "correct horse"  # of the fixture `user`
READS_ON, NOBODY, OVER = 0.5, 3, 6  # seconds into the new epoch


@fresh_login(max_age=60)
def fresh(request: HttpRequest) -> HttpResponse:
    return HttpResponse("fresh")


urlpatterns = [
    path("fresh/", fresh),
    *urls_engines.urlpatterns,
    path("pages/", include(urls.urlpatterns)),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def _settings(engine: str, settings: Any) -> Iterator[None]:
    settings.LOGIN_URL = "login"
    yield
    urls_engines.Page.view = staticmethod(urls_engines.untouched)


@pytest.fixture(params=MODES)
def victim(request: pytest.FixtureRequest, user: User, clock: Any) -> Visitor:
    """A browser with something in its basket, logged in ten minutes ago."""
    visitor = Visitor(request.param)
    visitor.put(basket="book")
    visitor.login(user)
    clock.shift(600)
    return visitor


def prove(victim: Visitor, user: User) -> None:
    """Log in once more."""
    victim.login(user)


def confirm(victim: Visitor, user: User) -> None:
    """Give the password on the page that asks for it."""
    data = {"password": PASSWORD, "next": "/"}
    assert victim.post("/pages/confirm/", data).status_code == 302


def take_next_secret(settings: Any) -> None:
    """Sign with another SECRET_KEY; the one before goes to the fallbacks."""
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next secret key of the tests, which is long enough too"


def change_password(victim: Visitor, user: User) -> None:
    def view(request: Any) -> None:
        request.user.set_password("another horse")
        request.user.save()
        update_session_auth_hash(request, request.user)

    victim.do(view)
    assert victim.status == 200


def renew_key(victim: Visitor, user: User) -> None:
    victim.do(lambda request: request.session.cycle_key())


def end_others(victim: Visitor, user: User) -> None:
    """As the page does, whose form takes the password."""
    assert victim.post("/pages/sessions/end-others/", {"password": PASSWORD}).status_code == 302


PROOFS = [prove, confirm]
BEGINNINGS = [prove, confirm, change_password, renew_key, end_others]


def is_nobody(visitor: Visitor) -> bool:
    return visitor.who() == "" and visitor.data() == {}


def reaches_fresh(visitor: Visitor) -> bool:
    return bool(visitor.open("/fresh/").status_code == 200)


# --- what begins an epoch, and what it is worth ---------------------------------------------------


@pytest.mark.parametrize("begin", BEGINNINGS)
@pytest.mark.requirement("ASVS 7.2.4")
def test_copy_from_an_earlier_epoch_opens_nothing(
    victim: Visitor, user: User, clock: Any, begin: Any
) -> None:
    thief = victim.copy()
    assert thief.who() == "ada"
    begin(victim, user)
    clock.shift(OVER)
    assert is_nobody(thief)
    assert victim.who() == "ada"
    assert victim.data() == {"basket": "book"}
    assert not SessionEvent.objects.filter(kind="token_reuse").exists()


@pytest.mark.parametrize("begin", BEGINNINGS)
@pytest.mark.parametrize("after", [READS_ON, NOBODY, OVER])
@pytest.mark.requirement("ASVS 7.2.4")
def test_copy_from_before_a_proof_never_passes_for_a_fresh_login(
    victim: Visitor, user: User, clock: Any, begin: Any, after: float
) -> None:
    thief = victim.copy()
    begin(victim, user)
    clock.shift(after)
    assert not reaches_fresh(thief)


@pytest.mark.parametrize("begin", PROOFS)
def test_who_proved_it_passes_for_a_fresh_login(victim: Visitor, user: User, begin: Any) -> None:
    assert not reaches_fresh(victim)
    begin(victim, user)
    assert reaches_fresh(victim)


@pytest.mark.parametrize("begin", [change_password, renew_key])
def test_new_key_is_no_new_proof(victim: Visitor, user: User, begin: Any) -> None:
    begin(victim, user)
    assert victim.who() == "ada"
    assert not reaches_fresh(victim)


def test_ending_the_others_and_a_new_key_are_no_new_proof(victim: Visitor, user: User) -> None:
    def view(request: Any) -> None:
        revoke_user_sessions(request.user, keep=request.session)
        request.session.cycle_key()

    victim.do(view)
    assert victim.who() == "ada"
    assert not reaches_fresh(victim)


def test_copy_of_the_session_that_is_kept_goes_with_the_others(
    victim: Visitor, user: User, clock: Any
) -> None:
    """As above, by the functions that the page uses."""
    thief, elsewhere = victim.copy(), Visitor(victim.mode)
    elsewhere.login(user)

    def view(request: Any) -> None:
        revoke_user_sessions(request.user, keep=request.session)
        request.session.cycle_key()

    victim.do(view)
    clock.shift(OVER)
    assert is_nobody(thief)
    assert is_nobody(elsewhere)
    assert victim.who() == "ada"


def test_clock_that_goes_back_brings_no_copy_back(victim: Visitor, user: User, clock: Any) -> None:
    thief = victim.copy()
    clock.shift(-300)
    prove(victim, user)
    assert victim.who() == "ada"
    clock.shift(OVER)
    assert is_nobody(thief)
    assert victim.who() == "ada"


# --- one sid for life -----------------------------------------------------------------------------


def test_sid_stays_from_the_first_visit_through_login_password_change_and_proof(
    user: User, clock: Any
) -> None:
    visitor = Visitor()
    visitor.put(basket="book")
    sid = visitor.sid()
    visitor.login(user)
    for begin in [prove, renew_key, end_others, confirm, change_password]:
        begin(visitor, user)
        clock.shift(OVER)
        assert visitor.sid() == sid, begin


@pytest.mark.parametrize("leave", [logout, lambda request: request.session.flush()])
def test_sid_is_new_after_logout_and_flush(victim: Visitor, user: User, leave: Any) -> None:
    sid = victim.sid()
    victim.do(leave)
    victim.put(basket="pen")
    assert victim.sid() not in (None, sid)


def test_sid_is_new_where_another_user_logs_in(
    victim: Visitor, user: User, django_user_model: Any
) -> None:
    sid = victim.sid()
    victim.login(django_user_model.objects.create_user("bob"))
    assert victim.who() == "bob"
    assert victim.data() == {}
    assert victim.sid() not in (None, sid)


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_session_can_be_ended_by_the_sid_of_its_login(
    victim: Visitor, user: User, clock: Any, begin: Any
) -> None:
    """From the history, say, whatever has happened since."""
    sid = victim.sid()
    assert sid is not None
    begin(victim, user)
    clock.shift(OVER)
    assert victim.who() == "ada"
    revoke_session(sid)
    assert is_nobody(victim)


# --- the seconds after a new epoch ----------------------------------------------------------------


def test_request_of_the_last_epoch_reads_for_a_second_and_gets_no_cookie(
    victim: Visitor, user: User, clock: Any
) -> None:
    late = victim.copy()
    prove(victim, user)
    clock.shift(READS_ON)
    assert late.data() == {"basket": "book"}
    assert late.got is None
    assert late.who() == "ada"
    assert late.got is None


@pytest.mark.parametrize("begin", [prove, confirm])
def test_what_has_passed_reads_nothing_when_the_next_epoch_begins(
    victim: Visitor, user: User, clock: Any, begin: Any
) -> None:
    thief = victim.copy()
    prove(victim, user)
    clock.shift(OVER)
    assert is_nobody(thief.copy())
    last = victim.copy()
    begin(victim, user)
    clock.shift(READS_ON)
    assert thief.who() == ""
    assert last.who() == "ada"


@pytest.mark.parametrize("act", [Visitor.who, Visitor.data, lambda v: v.put(x=1)])
def test_request_of_the_last_epoch_touches_no_cookie_for_five_seconds(
    victim: Visitor, user: User, clock: Any, act: Any
) -> None:
    late = victim.copy()
    prove(victim, user)
    clock.shift(NOBODY)
    assert not act(late)
    assert late.got is None
    assert victim.who() == "ada"
    assert victim.data() == {"basket": "book"}


def test_who_comes_with_an_older_epoch_is_a_new_visitor_later(
    victim: Visitor, user: User, clock: Any
) -> None:
    late = victim.copy()
    prove(victim, user)
    clock.shift(OVER)
    late.put(x=1)
    assert late.status == 200
    assert late.got
    assert late.data() == {"x": 1}
    assert late.sid() != victim.sid()


@pytest.mark.parametrize("after", [0, READS_ON, NOBODY, OVER])
def test_login_succeeds_and_gets_a_cookie_whatever_epoch_came_in(
    victim: Visitor, user: User, clock: Any, after: float
) -> None:
    """A double click; an answer that was lost."""
    again = victim.copy()
    prove(victim, user)
    clock.shift(after)
    again.login(user)
    assert again.got
    assert again.who() == "ada"
    clock.shift(OVER)
    assert again.who() == "ada"


@pytest.mark.parametrize("after", [READS_ON, NOBODY, OVER])
def test_login_of_the_session_s_own_user_takes_the_sid_up_again(
    victim: Visitor, user: User, clock: Any, after: float
) -> None:
    again, sid = victim.copy(), victim.sid()
    prove(victim, user)
    clock.shift(after)
    again.login(user)
    assert again.sid() == sid


@pytest.mark.parametrize("after", [READS_ON, NOBODY, OVER])
def test_login_of_somebody_else_with_an_old_copy_leaves_the_session_alone(
    victim: Visitor, user: User, clock: Any, after: float, django_user_model: Any
) -> None:
    thief = victim.copy()
    prove(victim, user)
    clock.shift(after)
    thief.login(django_user_model.objects.create_user("bob"))
    assert thief.who() == "bob"
    assert victim.who() == "ada"
    assert thief.sid() != victim.sid()


# --- a session that was not opened ends nothing ---------------------------------------------------


@pytest.mark.parametrize("after", [READS_ON, NOBODY, OVER])
def test_old_copy_whose_hash_no_longer_fits_ends_nothing(
    victim: Visitor, user: User, clock: Any, after: float
) -> None:
    """Django's get_user() flushes a session that does."""
    thief = victim.copy()
    change_password(victim, user)
    clock.shift(after)
    assert thief.who() == ""
    assert not thief.got
    assert victim.who() == "ada"
    assert victim.data() == {"basket": "book"}


@pytest.mark.parametrize("after", [READS_ON, NOBODY, OVER])
@pytest.mark.parametrize("mode", MODES)
def test_planted_anonymous_cookie_ends_no_login(
    mode: str, user: User, clock: Any, after: float
) -> None:
    planted = Visitor(mode)
    planted.put(basket="book")
    victim = planted.copy()
    victim.login(user)
    clock.shift(after)
    planted.logout()
    assert victim.who() == "ada"
    assert planted.who() == ""


@pytest.mark.parametrize("after", [READS_ON, NOBODY, OVER])
def test_logout_by_an_old_token_of_the_same_login_ends_the_session(
    victim: Visitor, user: User, clock: Any, after: float
) -> None:
    """A tab whose answer was lost: who logs out is out."""
    late = victim.copy()
    prove(victim, user)
    clock.shift(after)
    late.logout()
    assert is_nobody(victim)


# --- requests under way ---------------------------------------------------------------------------


def test_request_that_began_before_a_proof_goes_on_without_a_cookie(
    victim: Visitor, user: User, clock: Any, engine: str
) -> None:
    late = victim.copy()

    def view(request: Any) -> None:
        assert request.session["basket"] == "book"
        prove(victim, user)
        clock.shift(2)
        request.session["written"] = "text"

    late.do(view)
    assert late.got is None
    assert victim.who() == "ada"
    if engine == "cookie":  # has no place where the two could meet
        assert victim.data() == {"basket": "book"}
    else:
        assert late.status == 200
        assert victim.data() == {"basket": "book", "written": "text"}


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("poll", [{}, {"Sec-Purpose": "prefetch"}])
def test_get_that_began_before_a_proof_and_writes_after_it_signs_nobody_out(
    victim: Visitor, user: User, clock: Any, engine: str, poll: dict[str, str], asks: bool
) -> None:
    assert victim.who() == "ada"  # `hybrid` has a copy that is trusted
    late = victim.copy()

    def view(request: Any) -> None:
        assert request.session["basket"] == "book"
        prove(victim, user)
        clock.shift(2)
        request.session["written"] = "text"
        if asks:
            request.session.revalidate()
            assert request.session["basket"] == "book"

    late.do(view, method="get", **poll)
    assert late.got is None
    assert victim.who() == "ada"
    written = {} if engine == "cookie" else {"written": "text"}
    assert victim.data() == {"basket": "book", **written}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("asks_before", [False, True])
def test_request_that_goes_on_after_a_proof_learns_of_the_logout_that_follows(
    victim: Visitor, user: User, clock: Any, method: str, asks_before: bool
) -> None:
    """A stream that asks now and then: the epoch in which it began has passed, then all ends."""
    assert victim.who() == "ada"  # `hybrid` has a copy that is trusted
    late = victim.copy()

    def view(request: Any) -> dict[str, Any]:
        assert request.session["basket"] == "book"
        prove(victim, user)
        clock.shift(2)
        if asks_before:
            request.session.revalidate()
            assert request.session["basket"] == "book"
        victim.logout()
        clock.shift(2)
        request.session.revalidate()
        return dict(request.session.items())

    assert late.do(view, method=method) == {}
    assert not late.got


@pytest.mark.parametrize("engine", ["cookie", "hybrid"], indirect=True)
@pytest.mark.parametrize("after", [READS_ON, NOBODY, OVER])
def test_who_learns_from_the_row_that_the_epoch_had_passed_is_nobody(
    victim: Visitor, user: User, clock: Any, after: float
) -> None:
    """By a copy, for as long as the process has not heard of the end of its epoch."""
    assert victim.who() == "ada"  # `hybrid` has a copy that is trusted
    late = victim.copy()

    def view(request: Any) -> None:
        assert request.session["basket"] == "book"
        clock.shift(-after)  # so that the epoch has begun before this request
        prove(victim, user)
        clock.shift(after)
        request.session.revalidate()
        assert "basket" not in request.session
        request.session["written"] = "text"

    late.do(view, method="get")
    assert late.got is None
    assert victim.who() == "ada"
    assert victim.data() == {"basket": "book"}


def test_request_that_began_before_a_password_change_brings_no_old_hash_back(
    victim: Visitor, user: User, clock: Any, engine: str
) -> None:
    late = victim.copy()

    def view(request: Any) -> None:
        old = request.session["_auth_user_hash"]
        change_password(victim, user)
        clock.shift(2)
        request.session["_auth_user_hash"] = old
        request.session["written"] = "text"

    late.do(view)
    assert late.got is None
    assert victim.who() == "ada"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("leave", [None, lambda request: request.session.flush()])
def test_request_that_finds_its_user_gone_with_the_epoch_sets_no_cookie(
    victim: Visitor, user: User, clock: Any, method: str, leave: Any
) -> None:
    """Django's get_user() flushes a session whose hash does not fit; then the view writes."""
    assert victim.who() == "ada"
    late = victim.copy()

    def view(request: Any) -> None:
        assert request.session["basket"] == "book"
        change_password(victim, user)
        clock.shift(2)
        if leave is None:
            assert request.user.is_anonymous
        else:
            leave(request)
        request.session["written"] = "text"

    late.do(view, method=method)
    assert late.got is None
    assert victim.who() == "ada"
    assert victim.data() == {"basket": "book"}


def test_password_that_is_changed_twice_at_once_signs_nobody_out(
    victim: Visitor, user: User, clock: Any
) -> None:
    """A double click on the form: both are answered, and the second password is the user's."""
    assert victim.who() == "ada"
    second = victim.copy()

    def view(request: Any) -> None:
        assert request.user == user
        change_password(victim, user)
        clock.shift(0.3)
        request.user.set_password("a third horse")
        request.user.save()
        update_session_auth_hash(request, request.user)

    second.do(view)
    assert second.status == 200
    victim.cookie = second.got or victim.cookie
    clock.shift(OVER)
    assert victim.who() == "ada"
    assert victim.data() == {"basket": "book"}


def test_extension_of_a_request_that_began_before_a_proof_is_dropped(
    victim: Visitor, user: User, clock: Any
) -> None:
    clock.shift(4 * 86400)
    late = victim.copy()

    def view(request: Any) -> None:
        assert request.session["basket"] == "book"
        prove(victim, user)
        clock.shift(2)

    late.do(view, method="get")
    assert late.got is None
    assert victim.who() == "ada"


# --- the upgrade of a hash is no epoch ------------------------------------------------------------


def test_secret_key_that_moves_to_the_fallbacks_logs_no_parallel_request_out(
    victim: Visitor, user: User, clock: Any, settings: Any
) -> None:
    """Each of them upgrades the stored hash in Django's get_user()."""
    tabs = [victim.copy() for _ in range(4)]
    take_next_secret(settings)
    for tab in tabs:
        assert tab.who() == "ada"
        assert tab.status == 200
        clock.shift(4)
    for tab in tabs:
        assert tab.who() == "ada"
    assert victim.who() == "ada"


def test_hash_is_upgraded_once_and_outlives_the_fallback(
    victim: Visitor, user: User, clock: Any, settings: Any
) -> None:
    sid = victim.sid()
    take_next_secret(settings)
    assert victim.who() == "ada"
    clock.shift(4 * 86400)  # an extension seals all anew
    assert victim.who() == "ada"
    settings.SECRET_KEY_FALLBACKS = []
    assert victim.who() == "ada"
    assert victim.sid() == sid


@pytest.mark.parametrize("method", ["get", "post"])
def test_upgrade_in_a_request_that_goes_on_after_a_proof_begins_no_epoch(
    victim: Visitor, user: User, clock: Any, settings: Any, method: str
) -> None:
    """It would take the session away from who has just given the password."""
    assert victim.who() == "ada"
    late = victim.copy()
    take_next_secret(settings)

    def view(request: Any) -> None:
        assert request.session["basket"] == "book"
        assert victim.who() == "ada"
        prove(victim, user)
        clock.shift(2)
        assert request.user == user

    late.do(view, method=method)
    assert late.got is None
    clock.shift(OVER)
    assert victim.who() == "ada"


@pytest.mark.requirement("ASVS 7.2.4")
def test_upgrade_by_a_copy_that_still_reads_brings_no_cookie(
    victim: Visitor, user: User, clock: Any, settings: Any
) -> None:
    thief = victim.copy()
    take_next_secret(settings)
    assert victim.who() == "ada"
    prove(victim, user)
    clock.shift(READS_ON)
    thief.who()
    assert thief.got is None
    clock.shift(OVER)
    assert victim.who() == "ada"
    assert thief.who() == ""


@pytest.mark.parametrize("begin", [prove, confirm, renew_key])
def test_request_under_way_that_looks_at_its_session_a_minute_after_a_proof_sets_no_cookie(
    victim: Visitor, user: User, clock: Any, begin: Any
) -> None:
    slow = victim.copy()

    def view(request: Any) -> None:
        begin(victim, user)
        clock.shift(60)
        request.session["x"] = 1

    slow.do(view)
    assert slow.got is None
    assert victim.who() == "ada"


def test_of_two_proofs_at_once_one_begins_the_later_epoch_though_its_clock_is_behind(
    victim: Visitor, user: User, clock: Any
) -> None:
    other = victim.copy()

    def view(request: Any) -> None:
        request.session.get("basket")
        prove(victim, user)
        clock.shift(-20)
        request.session.prove()

    copy = Visitor(victim.mode)

    def proves(request: Any) -> None:
        view(request)
        copy.cookie = victim.cookie

    other.do(proves)
    clock.shift(30)
    assert other.who() == "ada"
    assert copy.who() == ""


@pytest.mark.parametrize("after", [READS_ON, NOBODY])
@pytest.mark.parametrize("method", ["get", "post"])
def test_session_that_is_created_for_who_comes_with_an_epoch_before_takes_no_cookie_away(
    victim: Visitor, user: User, clock: Any, after: float, method: str
) -> None:
    """As carts do it."""
    slow = victim.copy()
    change_password(victim, user)
    clock.shift(after)

    def view(request: Any) -> Any:
        request.session.get("basket")
        if request.session.session_key is None:
            request.session.create()
        request.session["cart"] = 1
        request.session.save()
        return request.session.session_key

    key = slow.do(view, method)
    assert slow.status == 200
    assert slow.got is None
    assert key
    assert victim.who() == "ada"


@pytest.mark.parametrize("anew", ["cycle_key", "create"])
@pytest.mark.parametrize("logs_in", [False, True])
def test_request_that_finds_its_user_gone_and_begins_anew_sets_a_cookie_for_a_login_alone(
    victim: Visitor, user: User, clock: Any, anew: str, logs_in: bool
) -> None:
    slow = victim.copy()

    def view(request: Any) -> Any:
        request.session.get("basket")
        change_password(victim, user)
        clock.shift(0.01)
        assert not request.user.is_authenticated
        getattr(request.session, anew)()
        request.session["x"] = 1
        if logs_in:
            login(request, User.objects.get(pk=user.pk))

    slow.do(view)
    assert slow.status == 200
    assert bool(slow.got) == logs_in
    assert victim.who() == "ada"
    assert slow.who() == ("ada" if logs_in else "")
