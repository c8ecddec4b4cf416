"""Users who are deleted or deactivated, or get a new password: their sessions end with it."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import aupdate_session_auth_hash, login, update_session_auth_hash
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_jwtsession.history import later
from django_jwtsession.middleware import SessionMiddleware
from django_jwtsession.models import Revocation, Session, SessionEvent
from django_jwtsession.pages.listing import number_of
from django_jwtsession.revocation.reasons import EndReason
from django_jwtsession.signals import session_revoked

from . import urls_engines
from .conftest import ENGINES, Visit, cookie, write
from .factories import PASSWORD, UserFactory, browser
from .helpers.process import another_process

pytestmark = pytest.mark.django_db

NEW = "another long password"


@pytest.fixture
def ada(db: None) -> User:
    user: User = UserFactory(username="ada")
    return user


def reasons(user_id: Any) -> list[str]:
    """Return why sessions of a user ended, as the history has it."""
    ends = SessionEvent.objects.filter(user_id=user_id, kind=SessionEvent.Kind.REVOKED)
    return sorted({event.detail["reason"] for event in ends})


def who(request: HttpRequest) -> str:
    """A view that says who is there, and shows the messages."""
    shown = " ".join(str(one) for one in messages.get_messages(request))
    return f"{request.user.get_username() or 'nobody'} {shown}".strip()


def log_in(visit: Visit, user: User, by: Client | None = None) -> Client:
    """Return a browser in which a user is logged in."""
    client = Client() if by is None else by
    visit(lambda request: login(request, user), by=client)
    return client


# --- in the middle of a view ---------------------------------------------------------------------


def delete(request: HttpRequest) -> None:
    request.user.delete()


def deactivate(request: HttpRequest) -> None:
    user: Any = request.user
    user.is_active = False
    user.save()


def deactivate_now(user: User) -> None:
    user.is_active = False
    user.save()


def change_password_of(user: Any) -> None:
    user.set_password(NEW)
    user.save()


def change_password(request: HttpRequest) -> None:
    change_password_of(request.user)


ENDS = pytest.mark.parametrize("end", [delete, deactivate, change_password])


@ENDS
@pytest.mark.parametrize("storage", ["session", "fallback"])
def test_message_after_the_end_of_the_user_is_shown_to_an_anonymous_visitor(
    engine: str, ada: User, visit: Visit, settings: Any, clock: Any, end: Any, storage: str
) -> None:
    name = {"session": "session.SessionStorage", "fallback": "fallback.FallbackStorage"}[storage]
    settings.MESSAGE_STORAGE = f"django.contrib.messages.storage.{name}"

    def view(request: HttpRequest) -> HttpResponseRedirect:
        end(request)
        messages.success(request, "Good-bye!")
        return HttpResponseRedirect("/")

    client = log_in(visit, ada)
    assert visit(view, by=client).status_code == 302
    assert visit(who, by=client).content == b"nobody Good-bye!"
    clock.shift(5)
    assert visit(write(x=1), by=client).status_code == 200
    assert visit(lambda request: request.session["x"], by=client).content == b"1"


@ENDS
@pytest.mark.parametrize("every_request", [False, True])
def test_key_that_is_written_after_the_end_is_all_that_stays(
    engine: str, ada: User, visit: Visit, settings: Any, clock: Any, end: Any, every_request: bool
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = every_request

    def view(request: HttpRequest) -> str:
        end(request)
        request.session.update({"after": 2, "again": 2})
        return "written"

    client = log_in(visit, ada)
    visit(write(before=1, again=1), by=client)
    old = cookie(client)
    assert visit(view, by=client).status_code == 200
    found = visit(lambda r: sorted(r.session.items()), by=client).content
    assert found == b"[('after', 2), ('again', 2)]"
    thief = Client()
    thief.cookies["sessionid"] = old
    assert visit(who, by=thief).content == b"nobody"
    clock.shift(5)
    assert visit(write(x=1), by=client).status_code == 200


@ENDS
@pytest.mark.parametrize("every_request", [False, True])
def test_view_that_stores_nothing_afterwards_leaves_no_session(
    engine: str, ada: User, visit: Visit, settings: Any, clock: Any, end: Any, every_request: bool
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = every_request
    client = log_in(visit, ada)
    assert visit(end, by=client).status_code == 200
    assert visit(who, by=client).content == b"nobody"
    clock.shift(5)
    assert visit(write(x=1), by=client).status_code == 200


def ended_by(user: User) -> Any:
    """Return who has ended the sessions of a user, as the history has it."""
    return SessionEvent.objects.get(user_id=user.pk, kind=SessionEvent.Kind.REVOKED).actor_id


@ENDS
def test_end_that_users_bring_about_themselves_is_said_to_be_theirs(
    engine: str, ada: User, visit: Visit, end: Any
) -> None:
    visit(end, by=log_in(visit, ada))
    assert ended_by(ada) == ada.pk


def test_end_by_staff_in_anothers_place_is_said_to_be_theirs(
    engine: str, ada: User, visit: Visit
) -> None:
    """As django-impersonate has it."""
    staff, other = UserFactory(admin=True), UserFactory()

    def view(request: HttpRequest) -> None:
        impersonating: Any = request
        impersonating.impersonator, request.user = request.user, other
        assert request.user.pk != impersonating.impersonator.pk
        deactivate_now(ada)

    log_in(visit, ada)
    visit(view, by=log_in(visit, staff))
    assert ended_by(ada) == staff.pk


def test_visitor_whose_request_ends_a_user_keeps_the_session_and_is_not_looked_at(
    engine: str, ada: User, visit: Visit
) -> None:
    """As a task's web hook does."""
    client, other = Client(), log_in(visit, ada)
    visit(write(x=1), by=client)
    response = visit(lambda _: change_password_of(ada), by=client)
    assert "Vary" not in response.headers
    assert ended_by(ada) is None
    assert visit(lambda request: request.session["x"], by=client).content == b"1"
    assert visit(who, by=other).content == b"nobody"


def test_receiver_is_told_of_nobody_if_a_visitor_has_ended_a_user(
    engine: str, ada: User, visit: Visit
) -> None:
    told: list[Any] = []

    def receive(by: Any, **kwargs: Any) -> None:
        told.append(by)

    def view(request: HttpRequest) -> None:
        assert request.user.is_anonymous
        deactivate_now(ada)

    log_in(visit, ada)
    session_revoked.connect(receive)
    visit(view, by=Client())
    session_revoked.disconnect(receive)
    assert told == [None]


@pytest.mark.parametrize("replacement", [None, {}], ids=str)
@pytest.mark.parametrize("end", ["deactivate", "change_password"])
def test_end_by_a_view_that_has_put_its_session_away_is_carried_out(
    engine: str, ada: User, visit: Visit, settings: Any, replacement: Any, end: str
) -> None:
    settings.MIDDLEWARE = settings.MIDDLEWARE[:1]
    other = Client()
    other.force_login(ada)

    def view(request: HttpRequest) -> None:
        del request.session
        if replacement is not None:
            request.session = replacement
        {"deactivate": deactivate_now, "change_password": change_password_of}[end](ada)

    assert visit(view, by=Client()).status_code == 200
    assert ended_by(ada) is None
    assert visit(lambda request: request.session.get("_auth_user_id"), by=other).content == b"None"


def test_end_by_a_view_of_a_site_that_knows_no_users_in_requests_is_carried_out(
    engine: str, ada: User, visit: Visit, settings: Any
) -> None:
    settings.MIDDLEWARE = settings.MIDDLEWARE[:1]

    def view(request: HttpRequest) -> None:
        request.session["x"] = 1
        deactivate_now(ada)

    Client().force_login(ada)
    visit(view, by=Client())
    assert ended_by(ada) is None


def test_end_waits_for_the_transaction_of_the_database_that_has_the_user(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases: list[str] = []
    monkeypatch.setattr(later, "after_commit", lambda _, using: databases.append(using))
    monkeypatch.setattr(later, "in_test_case", lambda using: bool(databases.append(using)))
    ada.is_active = False
    said = {"created": False, "raw": False, "update_fields": None, "using": "users"}
    post_save.send(User, instance=ada, **said)
    ada.set_password(NEW)
    post_save.send(User, instance=ada, **said)
    post_delete.send(User, instance=ada, using="users")
    assert databases == ["users"] * 4


@ENDS
async def test_message_under_asgi_is_shown_as_well(
    transactional_db: None, engine: str, settings: Any, own_connection: None, end: Any
) -> None:
    settings.ROOT_URLCONF = "tests.urls_engines"
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

    def view(request: HttpRequest) -> str:
        end(request)
        messages.success(request, "Good-bye!")
        return "done"

    user = await User.objects.acreate(username="ada")
    client = AsyncClient()
    views = [lambda request: login(request, user), view, who]
    try:
        for each in views:
            urls_engines.Page.view = staticmethod(each)
            response = await client.get("/")
            assert response.status_code == 200
    finally:
        urls_engines.Page.view = staticmethod(urls_engines.untouched)
    assert response.content == b"nobody Good-bye!"


async def test_view_whose_client_is_gone_and_that_leaves_nothing_is_cancelled(
    transactional_db: None, engine: str
) -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await SessionMiddleware(view)(AsyncRequestFactory().get("/"))


async def test_password_changed_in_a_view_that_has_awaited_another_request_keeps_the_own_session(
    transactional_db: None, engine: str, settings: Any, own_connection: None
) -> None:
    settings.ROOT_URLCONF = "tests.urls_engines"

    async def nothing(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    async def view(request: HttpRequest) -> str:
        user: Any = await request.auser()
        request.user = user  # which aupdate_session_auth_hash() of Django 5.2 looks up otherwise
        await SessionMiddleware(nothing)(AsyncRequestFactory().get("/"))
        user.set_password(NEW)
        await user.asave()
        await aupdate_session_auth_hash(request, user)
        return "changed"

    user = await User.objects.acreate(username="ada")
    client, other = AsyncClient(), AsyncClient()
    try:
        for each in (client, other):
            urls_engines.Page.view = staticmethod(lambda request: login(request, user))
            await each.get("/")
        urls_engines.Page.view = staticmethod(view)
        await client.get("/async/")
        urls_engines.Page.view = staticmethod(who)
        assert [(await each.get("/")).content for each in (client, other)] == [b"ada", b"nobody"]
    finally:
        urls_engines.Page.view = staticmethod(urls_engines.untouched)


@ENDS
async def test_end_by_a_view_whose_client_is_gone_before_it_answers_is_carried_out(
    transactional_db: None, engine: str, settings: Any, own_connection: None, end: Any
) -> None:
    settings.ROOT_URLCONF = "tests.urls_engines"

    async def view(request: HttpRequest) -> HttpResponse:
        request.user = await User.objects.aget(pk=user.pk)
        await sync_to_async(end)(request)
        raise asyncio.CancelledError

    user = await User.objects.acreate(username="ada")
    client = AsyncClient()
    urls_engines.Page.view = staticmethod(lambda request: login(request, user))
    try:
        await client.get("/")
        with pytest.raises(asyncio.CancelledError):
            await SessionMiddleware(view)(AsyncRequestFactory().get("/"))
        urls_engines.Page.view = staticmethod(who)
        assert (await client.get("/")).content == b"nobody"
    finally:
        urls_engines.Page.view = staticmethod(urls_engines.untouched)
    assert await sync_to_async(lambda: len(reasons(user.pk)))() == 1


def test_end_by_a_thread_that_outlives_its_request_is_carried_out(
    engine: str, ada: User, visit: Visit
) -> None:
    """It runs in the request's context; nobody does any more what is left to that request."""
    contexts: list[Context] = []
    log_in(visit, ada)
    visit(lambda _: contexts.append(copy_context()))
    [context] = contexts
    context.run(deactivate_now, ada)
    assert reasons(ada.pk) == [EndReason.DEACTIVATED]
    # It serves another request, which puts nothing back that is over.
    request = RequestFactory().get("/")
    context.run(SessionMiddleware(lambda _: HttpResponse()), request)
    assert context[later.answering] is None


def test_end_that_follows_from_the_saving_of_a_session_is_carried_out(
    engine: str, ada: User, visit: Visit
) -> None:
    """A receiver that locks an account: the view is over by then, and its answer is not out."""
    client, other = log_in(visit, ada), log_in(visit, ada)

    def view(request: HttpRequest) -> None:
        session: Any = request.session
        save = session.save

        def save_and_end() -> None:
            save()
            ada.is_active = False
            ada.save()

        session["x"], session.save = 1, save_and_end

    visit(view, by=client)
    assert reasons(ada.pk) == [EndReason.DEACTIVATED]
    assert visit(who, by=other).content == b"nobody"


@pytest.mark.django_db(transaction=True)
@ENDS
def test_end_that_is_rolled_back_ends_nothing(engine: str, visit: Visit, end: Any) -> None:
    def view(request: HttpRequest) -> str:
        with transaction.atomic():
            end(request)
            transaction.set_rollback(True)
        request.session["after"] = 2
        return "rolled back"

    user = UserFactory(username="ada")
    client, other = log_in(visit, user), log_in(visit, user)
    assert visit(view, by=client).status_code == 200
    for each in (client, other):
        assert visit(who, by=each).content == b"ada"
    assert reasons(user.pk) == []


# --- deleted -------------------------------------------------------------------------------------


def by_instance(user: User) -> None:
    user.delete()


def by_queryset(user: User) -> None:
    User.objects.filter(pk=user.pk).delete()


def by_admin(user: User) -> None:
    admin = browser(UserFactory(admin=True))
    response = admin.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"})
    assert response.status_code == 302


def by_admin_action(user: User) -> None:
    admin = browser(UserFactory(admin=True))
    form = {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"}
    assert admin.post("/admin/auth/user/", form).status_code == 302


WAYS = [by_instance, by_queryset, by_admin, by_admin_action]


@pytest.mark.urls("tests.urls")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.requirement("ASVS 7.4.2")
def test_deleted_user_has_no_sessions(engine: str, ada: User, way: Any) -> None:
    client, pk = browser(ada), ada.pk
    way(ada)
    assert not User.objects.filter(pk=pk).exists()
    assert client.get("/closed/").status_code == 302
    assert not Session.objects.filter(user_id=pk).exists()
    assert reasons(pk) == [EndReason.DELETED]
    assert Revocation.objects.exists()


@pytest.mark.urls("tests.urls")
def test_history_of_a_deleted_user_names_who_deleted_them(engine: str, ada: User) -> None:
    browser(ada)
    admin = UserFactory(admin=True)
    pk = ada.pk
    browser(admin).post(f"/admin/auth/user/{pk}/delete/", {"post": "yes"})
    event = SessionEvent.objects.get(user_id=pk, kind=SessionEvent.Kind.REVOKED)
    assert event.actor_id == admin.pk
    page = browser(admin).get("/admin/django_jwtsession/sessionevent/").content.decode()
    assert f"deleted user {pk}" in page


@pytest.mark.urls("tests.urls")
def test_users_without_sessions_are_deleted_at_a_query_more_each(db_engine: None) -> None:
    UserFactory.create_batch(3)
    with CaptureQueriesContext(connection) as queries:
        User.objects.all().delete()
    ours = [q["sql"] for q in queries if "django_jwtsession" in q["sql"]]
    assert len(ours) == 3
    assert not SessionEvent.objects.exists()


# --- deactivated ---------------------------------------------------------------------------------


@pytest.mark.urls("tests.urls")
@pytest.mark.requirement("ASVS 7.4.2")
def test_deactivated_user_does_not_come_back_with_the_account(engine: str, ada: User) -> None:
    client = browser(ada)
    ada = User.objects.get(pk=ada.pk)
    ada.is_active = False
    ada.save()
    ada.is_active = True
    ada.save()
    assert client.get("/closed/").status_code == 302
    assert number_of(ada) == 0
    assert reasons(ada.pk) == [EndReason.DEACTIVATED]
    assert browser(ada).get("/closed/").status_code == 200


@pytest.mark.urls("tests.urls")
def test_saving_an_inactive_user_again_ends_nothing_again(engine: str, ada: User) -> None:
    browser(ada)
    ada.is_active = False
    ada.save()
    before = Revocation.objects.count(), SessionEvent.objects.count()
    ada.save()
    User.objects.get(pk=ada.pk).save()
    assert (Revocation.objects.count(), SessionEvent.objects.count()) == before


@pytest.mark.urls("tests.urls")
def test_inactive_users_stay_where_a_backend_accepts_them(
    engine: str, ada: User, settings: Any
) -> None:
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
    client = browser(ada)
    ada.is_active = False
    ada.save()
    assert client.get("/closed/").status_code == 200
    assert reasons(ada.pk) == []


@pytest.mark.urls("tests.urls")
def test_field_that_is_not_saved_ends_nothing(engine: str, ada: User) -> None:
    client = browser(ada)
    ada.is_active = False
    ada.set_password(NEW)
    ada.last_name = "Lovelace"
    with CaptureQueriesContext(connection) as queries:
        ada.save(update_fields=["last_name"])
    assert len(queries) == 1
    assert client.get("/closed/").status_code == 200
    ada._password = None  # or the next save would take it for new
    ada.refresh_from_db()
    ada.save()
    assert client.get("/closed/").status_code == 200


def test_save_of_a_user_who_does_not_change_costs_no_query_more(ada: User) -> None:
    user = User.objects.get(pk=ada.pk)
    with CaptureQueriesContext(connection) as queries:
        user.save()
    assert len(queries) == 1


@pytest.mark.urls("tests.urls")
def test_fixture_and_bulk_operations_break_nothing(engine: str, ada: User, tmp_path: Any) -> None:
    client = browser(ada)
    ada.is_active = False
    fixture = tmp_path / "users.json"
    fixture.write_text(serializers.serialize("json", [ada]))
    call_command("loaddata", fixture, verbosity=0)
    assert client.get("/closed/").status_code == 302  # Django's get_user()
    User.objects.bulk_update([ada], ["is_active"])
    User.objects.update(is_active=True)
    assert reasons(ada.pk) == []


@pytest.mark.urls("tests.urls")
def test_user_loaded_in_part_is_compared_by_what_is_known(ada: User, db_engine: None) -> None:
    browser(ada)
    user = User.objects.only("username").get(pk=ada.pk)
    with CaptureQueriesContext(connection) as queries:
        user.save()
    assert len(queries) == 1
    user.password = ada.password
    user.save(update_fields=["username", "password"])
    assert reasons(ada.pk) == []
    user.set_password(NEW)
    user.save(update_fields=["password"])
    assert reasons(ada.pk) == [EndReason.PASSWORD]


# --- a new password ------------------------------------------------------------------------------


def test_password_that_a_view_sets_twice_keeps_the_session_that_has_the_last(
    engine: str, visit: Visit, ada: User
) -> None:
    """Each time the same has another hash: of a form and a signal that both set it, say."""
    own, other = log_in(visit, ada), log_in(visit, ada)

    def change(request: HttpRequest) -> str:
        user: Any = request.user
        for _ in range(2):
            user.set_password(NEW)
            user.save()
        update_session_auth_hash(request, user)
        return "changed"

    visit(change, by=own)
    assert visit(who, by=own).content == b"ada"
    assert visit(who, by=other).content == b"nobody"
    assert ended_by(ada) == ada.pk


def test_password_changed_by_a_session_of_a_header_keeps_that_session(
    engine: str, visit: Visit, ada: User
) -> None:
    store = import_module(ENGINES[engine]).SessionStore
    phone, other = log_in(visit, ada), log_in(visit, ada)

    def change(request: HttpRequest) -> str:
        """As an API does whose sessions come in a header: in the place of the cookie's."""
        outer, request.session = request.session, store(cookie(phone))
        request.user = User.objects.get()
        request.user.set_password(NEW)
        request.user.save()
        update_session_auth_hash(request, request.user)
        request.session.save()
        token, request.session = request.session.token, outer
        return str(token)

    token = visit(change, by=Client()).content.decode()
    assert store(token).get("_auth_user_id") == str(ada.pk)
    assert ended_by(ada) == ada.pk
    assert visit(who, by=other).content == b"nobody"


def others_of(user: User) -> int:
    """Return how many sessions the user's list counts."""
    return number_of(User.objects.get(pk=user.pk))


@pytest.mark.urls("tests.urls_password")
@pytest.mark.requirement("ASVS 7.4.3")
def test_own_new_password_keeps_this_session_alone(engine: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert client.post("/password/", form).status_code == 302
    assert client.get("/closed/").status_code == 200
    assert other.get("/closed/").status_code == 302
    assert others_of(ada) == 1
    assert reasons(ada.pk) == [EndReason.PASSWORD]
    page = client.get("/sessions/history/").content.decode()
    assert "the password was changed" in page


@pytest.mark.urls("tests.urls_password")
@pytest.mark.requirement("ASVS 7.4.3")
def test_password_set_by_staff_ends_all(engine: str, ada: User) -> None:
    client, admin = browser(ada), browser(UserFactory(admin=True))
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    response = admin.post(f"/admin/auth/user/{ada.pk}/password/", form)
    assert response.status_code == 302
    assert client.get("/closed/").status_code == 302
    assert others_of(ada) == 0
    assert reasons(ada.pk) == [EndReason.PASSWORD]
    assert admin.get("/admin/").status_code == 200


@pytest.mark.urls("tests.urls_password")
@pytest.mark.parametrize("how", ["set_password", "make_password", "set_unusable_password"])
def test_password_set_in_a_shell_ends_all(engine: str, ada: User, how: str) -> None:
    client = browser(ada)
    user = User.objects.get(pk=ada.pk)
    if how == "set_password":
        user.set_password(NEW)
    elif how == "make_password":
        user.password = make_password(NEW)
    else:
        user.set_unusable_password()
    user.save()
    assert client.get("/closed/").status_code == 302
    assert others_of(ada) == 0
    assert reasons(ada.pk) == [EndReason.PASSWORD]


@pytest.mark.urls("tests.urls_password")
def test_stronger_hash_of_the_same_password_is_no_new_password(
    engine: str, ada: User, request: Any
) -> None:
    request.getfixturevalue("stronger")
    client = browser(ada)  # whose login has it hashed anew
    assert client.get("/closed/").status_code == 200
    assert reasons(ada.pk) == []


@pytest.fixture
def stronger(settings: Any) -> None:
    """From now on passwords are hashed otherwise, as with each release of Django."""
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]


def give_password(request: HttpRequest) -> str:
    """A view that asks for the password again."""
    user: Any = request.user
    return str(user.check_password(PASSWORD))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic", [False, True])
def test_password_that_is_hashed_anew_keeps_the_session_in_which_it_was_given(
    engine: str, ada: User, visit: Visit, request: Any, atomic: bool
) -> None:
    client = log_in(visit, ada)
    sid = visit(lambda request: request.session.sid, by=client).content
    request.getfixturevalue("stronger")
    give = transaction.atomic(give_password) if atomic else give_password
    assert visit(give, by=client).content == b"True"
    assert visit(who, by=client).content == b"ada"
    assert visit(lambda request: request.session.sid, by=client).content == sid
    assert reasons(ada.pk) == []


def test_parallel_request_with_the_hash_of_before_ends_nothing(
    engine: str, ada: User, visit: Visit, request: Any
) -> None:
    client, other = log_in(visit, ada), Client()
    other.cookies["sessionid"] = cookie(client)
    request.getfixturevalue("stronger")
    visit(give_password, by=client)
    another_process()
    visit(who, by=other)
    assert visit(who, by=client).content == b"ada"


def test_password_of_another_user_that_is_hashed_anew_leaves_the_session_alone(
    engine: str, ada: User, visit: Visit, request: Any
) -> None:
    staff, client = UserFactory(username="staff"), Client()
    log_in(visit, staff, by=client)
    before = cookie(client)
    request.getfixturevalue("stronger")
    visit(lambda request: (request.user.pk, ada.check_password(PASSWORD)), by=client)
    assert cookie(client) == before


async def test_password_that_is_hashed_anew_under_asgi_keeps_its_session_as_well(
    transactional_db: None, engine: str, settings: Any, own_connection: None, request: Any
) -> None:
    settings.ROOT_URLCONF = "tests.urls_engines"

    async def give(request: HttpRequest) -> str:
        user: Any = await request.auser()  # type: ignore[attr-defined]
        return str(await user.acheck_password(PASSWORD))

    async def awho(request: HttpRequest) -> str:
        user: Any = await request.auser()  # type: ignore[attr-defined]
        return str(user.get_username())

    user, client = await sync_to_async(UserFactory)(username="ada"), AsyncClient()
    await client.aforce_login(user)
    request.getfixturevalue("stronger")
    try:
        for view, said in ((give, b"True"), (awho, b"ada")):
            urls_engines.Page.view = staticmethod(view)
            assert (await client.get("/async/")).content == said
    finally:
        urls_engines.Page.view = staticmethod(urls_engines.untouched)


@pytest.mark.urls("tests.urls")
def test_confirming_with_a_password_that_is_hashed_anew_does_not_sign_out(
    engine: str, ada: User, request: Any
) -> None:
    client = browser(ada)
    request.getfixturevalue("stronger")
    assert client.post(reverse("jwtsession:confirm"), {"password": PASSWORD}).status_code == 302
    assert client.get("/").content == b"ada"


def test_user_who_is_created_has_nothing_to_end(engine: str, db: None) -> None:
    User.objects.create_user("eve", password=NEW)
    assert not Revocation.objects.exists()
    assert not SessionEvent.objects.exists()


def test_password_and_login_in_one_view_keep_that_session(
    engine: str, ada: User, visit: Visit
) -> None:
    def reset(request: HttpRequest) -> None:
        user = User.objects.get(pk=ada.pk)
        user.set_password(NEW)
        user.save()
        login(request, user)

    other, client = log_in(visit, ada), Client()
    visit(reset, by=client)
    assert visit(who, by=client).content == b"ada"
    assert visit(who, by=other).content == b"nobody"
    assert others_of(ada) == 1


@pytest.mark.parametrize("is_same", [False, True])
def test_password_changed_in_a_view_that_has_had_another_request_answered_keeps_the_own_session(
    engine: str, ada: User, visit: Visit, is_same: bool
) -> None:
    """As the requests of a batch are; and a site may have the middleware twice."""

    def change(request: HttpRequest) -> None:
        user: Any = User.objects.get(pk=request.user.pk)
        session = request.session
        inner = request if is_same else RequestFactory().get("/")
        SessionMiddleware(lambda _: HttpResponse())(inner)
        request.session = session
        user.set_password(NEW)
        user.save()
        update_session_auth_hash(request, user)

    client, other = log_in(visit, ada), log_in(visit, ada)
    visit(change, by=client)
    assert visit(who, by=client).content == b"ada"
    assert visit(who, by=other).content == b"nobody"
    assert others_of(ada) == 1


@pytest.mark.django_db(transaction=True)
def test_password_changed_in_a_transaction_keeps_the_own_session(engine: str, visit: Visit) -> None:
    @transaction.atomic
    def change(request: HttpRequest) -> None:
        user: Any = request.user
        user.set_password(NEW)
        user.save()
        update_session_auth_hash(request, user)

    user = UserFactory(username="ada")
    client, other = log_in(visit, user), log_in(visit, user)
    visit(change, by=client)
    assert visit(who, by=client).content == b"ada"
    assert visit(who, by=other).content == b"nobody"
    assert others_of(user) == 1


@pytest.mark.urls("tests.urls_password")
def test_stock_middleware_keeps_the_own_session_too(engine: str, ada: User, settings: Any) -> None:
    stock = "django.contrib.sessions.middleware.SessionMiddleware"
    settings.MIDDLEWARE = [stock, *settings.MIDDLEWARE[1:]]
    client, other = browser(ada), browser(ada)
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert client.post("/password/", form).status_code == 302
    assert client.get("/closed/").status_code == 200
    assert other.get("/closed/").status_code == 302


def test_other_engine_has_nothing_to_end(ada: User, settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    ada.set_password(NEW)
    ada.save()
    ada.delete()
    assert not SessionEvent.objects.exists()
    assert not Revocation.objects.exists()
