"""The hybrid engine: the copy in the cookie, its window, and the row behind it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import OperationalError
from django.test import Client

from django_jwtsession.backends import hybrid, rows
from django_jwtsession.backends.process import written
from django_jwtsession.conf import get_config
from django_jwtsession.models import Session
from tests.conftest import ENGINES, NOW, Visit, cookie, read, write
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

Store = hybrid.SessionStore


@pytest.fixture(autouse=True)
def _hybrid(settings: Any, clock: Any) -> None:
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    written.forget()


def claims(session: Any) -> Any:
    return get_config().codec.read(session.token, NOW)


def saved(**data: Any) -> Any:
    session = Store()
    session.update(data)
    session.save()
    written.forget()  # as another process
    return session


def reopened(session: Any) -> Any:
    again = Store(session.token)
    again.environ = {"REQUEST_METHOD": "GET"}
    return again


# --- the window -----------------------------------------------------------------------------------


def test_read_inside_the_window_makes_no_query(django_assert_num_queries: Any, clock: Any) -> None:
    session = saved(x=1)
    clock.shift(59)
    with django_assert_num_queries(0):
        assert reopened(session)["x"] == 1


def test_thread_that_is_late_to_say_what_it_wrote_brings_no_older_copy_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, said, note = saved(x=1), [], written.note
    monkeypatch.setattr(written, "note", lambda *what: said.append(what))
    tokens = []
    for x in (2, 3):
        session = Store(session.token)
        session["x"] = x
        session.save()
        tokens.append(session.token)
    for what in reversed(said):
        note(*what)
    late = Store(tokens[0])
    late.environ = {"REQUEST_METHOD": "GET"}
    assert late["x"] == 3


@pytest.mark.django_db(transaction=True)
async def test_async_read_inside_the_window_hops_into_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from asgiref.sync import SyncToAsync, sync_to_async

    session = await sync_to_async(saved)(x=1)

    async def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a thread hop")

    monkeypatch.setattr(SyncToAsync, "__call__", refuse)
    assert await reopened(session).aget("x") == 1


def test_page_with_the_user_costs_the_user_query_alone(
    visit: Visit, client: Client, user: Any, django_assert_num_queries: Any
) -> None:
    client.force_login(user)
    visit(read)  # the key that force_login() sets is answered with a token
    written.forget()
    with django_assert_num_queries(1):
        response = visit(lambda request: request.user.get_username())
    assert response.content == b"ada"
    assert "sessionid" not in response.cookies


def test_after_the_window_one_select_and_a_fresh_cookie(
    visit: Visit, client: Client, clock: Any, django_assert_num_queries: Any
) -> None:
    visit(write(x=1))
    before = cookie(client)
    clock.shift(60)
    with django_assert_num_queries(1) as queries:
        response = visit(read)
    assert queries[0]["sql"].startswith("SELECT")
    assert response.content == b"[('x', 1)]"
    assert cookie(client) != before
    with django_assert_num_queries(0):
        visit(read)


def test_window_counts_from_the_read_and_not_from_the_answer(
    visit: Visit, client: Client, clock: Any
) -> None:
    visit(write(x=1))
    clock.shift(60)

    def slow(request: Any) -> str:
        request.session.get("x")
        clock.shift(0.05)
        return "late"

    visit(slow)
    assert get_config().codec.read(cookie(client), NOW + 61).rv == NOW + 120


def test_window_ends_where_the_session_is_to_be_extended() -> None:
    session = Store()
    session["x"] = 1
    session.set_expiry(5)
    session.save()
    assert claims(session).rv == int(NOW + 2.5)


def test_session_of_five_seconds_lives_five_seconds(clock: Any) -> None:
    session = Store()
    session["x"] = 1
    session.set_expiry(5)
    session.save()
    clock.shift(4.9)
    assert reopened(session).get("x") == 1
    clock.shift(0.2)
    assert reopened(session).get("x") is None


def test_write_inside_the_window_is_one_select_and_one_update(
    django_assert_num_queries: Any, clock: Any
) -> None:
    session = reopened(saved(x=1, y=[1]))
    clock.shift(10)
    session["y"].append(2)
    with django_assert_num_queries(2) as queries:
        session.save()
    assert [query["sql"].split()[0] for query in queries] == ["SELECT", "UPDATE"]
    assert Session.objects.get().get_decoded() == {"x": 1, "y": [1, 2]}
    with django_assert_num_queries(0):
        assert reopened(session)["y"] == [1, 2]


def test_write_on_an_old_copy_keeps_what_others_wrote() -> None:
    session = saved(x=1)
    first, second = reopened(session), reopened(session)
    first["a"] = 1
    second["b"] = 2
    del second["x"]
    first.save()
    written.forget()
    second.save()
    assert Session.objects.get().get_decoded() == {"a": 1, "b": 2}
    assert dict(second.items()) == {"a": 1, "b": 2}


def test_write_to_an_ended_session_is_an_update_error() -> None:
    session = saved(x=1)
    late = reopened(session)
    late["y"] = 1
    Session._base_manager.all().delete()
    with pytest.raises(UpdateError):
        late.save()
    assert not Session.objects.exists()


def test_process_trusts_no_copy_older_than_what_it_wrote() -> None:
    session = Store()
    session["x"] = 1
    session.save()
    other = reopened(session)
    other["x"] = 2
    other.save()
    assert reopened(session)["x"] == 2


def test_documented_test_pattern_is_seen_by_the_next_request(visit: Visit, client: Client) -> None:
    visit(write(x=1))
    session = client.session
    session["x"] = 2
    session.save()
    assert visit(read).content == b"[('x', 2)]"


def test_revalidate_reads_the_row_and_keeps_unsaved_changes() -> None:
    session = reopened(saved(x=1, z=1))
    other = reopened(session)
    session["mine"] = 1
    other["x"] = 2
    del other["z"]
    other.save()
    session.revalidate()
    assert dict(session.items()) == {"x": 2, "mine": 1}
    session.save()
    assert Session.objects.get().get_decoded() == {"x": 2, "mine": 1}


@pytest.mark.django_db(transaction=True)
async def test_arevalidate_finds_an_ended_session() -> None:
    from asgiref.sync import sync_to_async

    session = reopened(await sync_to_async(saved)(x=1))
    assert await session.aget("x") == 1
    await Session._base_manager.all().adelete()
    await session.arevalidate()
    assert await session.aget("x") is None


def test_anonymous_sessions_have_a_copy_as_well(django_assert_num_queries: Any) -> None:
    token = claims(saved(cart=[1]))
    assert token.sub is None
    assert token.d == {"cart": [1]}


def test_auth_cookie_with_everything_in_it_has_456_characters_at_most(client: Client) -> None:
    user: Any = UserFactory(pk=99)  # of few digits, wherever others' have come to
    client.force_login(user)
    client.get("/")
    token = get_config().codec.read(cookie(client), NOW)
    assert None not in (token.sub, token.be, token.ah, token.auth_time, token.rv, token.gen)
    assert len(cookie(client)) <= 456


# --- data that is too big for a cookie ------------------------------------------------------------


@pytest.mark.requirement("ASVS 3.3.5")
def test_big_data_stays_in_the_row_and_comes_back_when_it_shrinks(
    django_assert_num_queries: Any,
) -> None:
    session = saved(x="v" * 5000)
    assert claims(session).big == 1
    assert claims(session).d is None
    with django_assert_num_queries(1):
        again = reopened(session)
        assert again["x"] == "v" * 5000
    again["x"] = "small"
    again.save()
    written.forget()
    with django_assert_num_queries(0):
        assert reopened(again)["x"] == "small"


def test_copy_stays_out_of_a_cookie_that_narrow_proxies_would_not_take(settings: Any) -> None:
    settings.JWTSESSION = {"MAX_COOKIE_SIZE": 3072}
    small, large = saved(x="x" * 1500), saved(x="x" * 2500)
    assert (claims(small).big, claims(large).big) == (None, 1)
    assert len(large.token) < 1000
    assert reopened(large)["x"] == "x" * 2500


def test_big_session_still_names_its_user(client: Client, user: Any, visit: Visit) -> None:
    client.force_login(user)
    visit(write(x="v" * 5000))
    token = get_config().codec.read(cookie(client), NOW)
    assert token.big == 1
    assert token.sub == str(user.pk)


def test_page_of_a_big_session_sets_no_cookie_while_nothing_changes(
    visit: Visit, client: Client, clock: Any
) -> None:
    """Else each answer could overtake one with a newer cookie, and none could be kept."""
    visit(write(x="v" * 5000))
    for _ in range(3):
        clock.shift(61)
        answer = visit(read)
        assert b"vvv" in answer.content
        assert not answer.cookies
        assert "Cache-Control" not in answer.headers
    elsewhere = hybrid.SessionStore(cookie(client))
    elsewhere["y"] = 1
    elsewhere.save()
    assert visit(read).cookies


# --- what goes out --------------------------------------------------------------------------------


def test_unsaved_changes_do_not_get_into_the_copy(visit: Visit, client: Client, clock: Any) -> None:
    visit(write(x=[1]))
    clock.shift(60)

    def in_place(request: Any) -> str:
        request.session["x"].append("unsaved")
        return "not modified"

    visit(in_place)
    assert visit(read).content == b"[('x', [1])]"


def test_late_answer_reads_the_row_again_and_brings_nothing_back(
    visit: Visit, client: Client, clock: Any
) -> None:
    visit(write(x=1))
    clock.shift(60)

    def ends_meanwhile(request: Any) -> str:
        assert request.session["x"] == 1
        Session._base_manager.all().delete()
        clock.shift(2)
        return "late"

    response = visit(ends_meanwhile)
    assert "sessionid" not in response.cookies


def test_last_seen_moves_when_the_row_is_read(visit: Visit, clock: Any) -> None:
    visit(write(x=1))
    clock.shift(301)
    visit(read)
    assert Session.objects.get().last_seen_at.timestamp() == NOW + 301


def test_write_on_a_copy_that_was_not_valid_from_the_first(clock: Any) -> None:
    """`nbf` is written by nobody but other issuers."""
    session = saved(x=1)
    codec = get_config().codec
    claims = codec.read(session.token, NOW)._replace(nbf=NOW + 20)
    clock.shift(21)
    later = Store(codec.issue(claims, NOW))
    later.environ = {"REQUEST_METHOD": "GET"}
    later["y"] = 2
    later.save()
    assert Session.objects.get().get_decoded() == {"x": 1, "y": 2}


def test_sliding_refresh_moves_row_and_cookie(visit: Visit, clock: Any) -> None:
    visit(write(x=1))
    clock.shift(4 * 86400)
    response = visit(read)
    assert response.cookies["sessionid"]["max-age"] == 7 * 86400
    assert Session.objects.get().expires_at.timestamp() == NOW + 11 * 86400


def test_refresh_by_hand_inside_the_window(clock: Any) -> None:
    session = reopened(saved(x=1))
    clock.shift(30)
    assert session.refresh() is True
    assert Session.objects.get().expires_at.timestamp() == NOW + 30 + 7 * 86400
    assert session.refresh() is False


# --- the database out of reach --------------------------------------------------------------------


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Any:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("the database is out of reach")

    return lambda: monkeypatch.setattr(rows, "fetch", fail)


def test_copy_is_good_for_stale_if_error_more_and_then_it_is_an_error(
    outage: Any, clock: Any
) -> None:
    session = saved(x=1)
    outage()
    clock.shift(119)
    again = reopened(session)
    assert again["x"] == 1
    assert not again.reissue_due(NOW + 119)
    clock.shift(2)
    with pytest.raises(OperationalError):
        reopened(session).get("x")


# --- from one engine to another -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "stays"),
    [
        ("cookie", "db", True),
        ("cookie", "hybrid", True),
        ("db", "hybrid", True),
        ("hybrid", "db", True),
        ("hybrid", "cookie", True),
        ("db", "cookie", True),
    ],
)
def test_users_stay_logged_in_where_the_token_has_what_the_engine_needs(
    settings: Any, client: Client, user: Any, visit: Visit, old: str, new: str, stays: bool
) -> None:
    settings.SESSION_ENGINE = ENGINES[old]
    client.force_login(user)
    visit(write(x=1))
    settings.SESSION_ENGINE = ENGINES[new]
    by = Client()
    by.cookies["sessionid"] = cookie(client)

    def who(request: Any) -> str:
        return f"{request.user.get_username()} {request.session.get('x')}"

    expected = "ada 1" if stays else " None"
    assert visit(who, by=by).content.decode() == expected
    if stays:
        assert visit(who, by=by).content.decode() == expected


def test_session_that_moved_here_cannot_be_brought_back_by_its_old_cookie(
    settings: Any, client: Client, user: Any, visit: Visit, clock: Any
) -> None:
    settings.SESSION_ENGINE = ENGINES["cookie"]
    client.force_login(user)
    copied = cookie(client)
    clock.shift(3600)
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    assert visit(lambda request: request.user.get_username()).content == b"ada"
    client.logout()
    thief = Client()
    thief.cookies["sessionid"] = copied
    clock.shift(86400)
    assert visit(lambda request: request.user.get_username(), by=thief).content == b""
    assert not Session.objects.exists()


def test_parallel_requests_of_a_session_that_moves_here_share_one_row(
    settings: Any, client: Client, user: Any
) -> None:
    settings.SESSION_ENGINE = ENGINES["cookie"]
    client.force_login(user)
    token = cookie(client)
    stores = [import_module(ENGINES["db"]).SessionStore(token) for _ in range(3)]
    assert {store["_auth_user_id"] for store in stores} == {str(user.pk)}
    assert Session.objects.count() == 1
