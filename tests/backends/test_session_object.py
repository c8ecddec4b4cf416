"""The session as an object: copied, pickled, filled with odd values, shown in tracebacks."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from http.cookies import SimpleCookie
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from django.contrib import messages
from django.contrib.auth import alogin, login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.core import checks
from django.db.models import signals
from django.test import Client, TestCase

from django_jwtsession.conf import get_config
from django_jwtsession.exceptions import BadToken, SessionTooLarge
from django_jwtsession.models import Session
from django_jwtsession.revocation import revoke_user_sessions

from ..conftest import DAY, ENGINES, NOW
from ..helpers.process import another_process
from ..helpers.visitor import MODES, Visitor

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls_engines")]
ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret that only the session knows"


@pytest.fixture(autouse=True)
def _clock(clock: Any) -> None:
    """It stands still."""


def saved(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


def reopened(store: Any, session: Any) -> Any:
    another_process()
    return store(session.session_key)


# --- copies ---------------------------------------------------------------------------------------


def test_session_of_a_request_can_be_deep_copied(engine: str, user: User) -> None:
    visitor = Visitor()
    visitor.login(user)
    visitor.put(basket=["book"])

    def view(request: Any) -> Any:
        copied = copy.deepcopy(request.session)
        copied["basket"].append("pen")
        return request.session["basket"], copied["basket"], copied.session_key is not None

    assert visitor.do(view, "get") == (["book"], ["book", "pen"], True)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
@pytest.mark.parametrize("state", ["new", "loaded", "saved", "not loaded"])
def test_copy_of_a_session_can_be_saved(store: Any, copied: Any, state: str) -> None:
    session = store() if state == "new" else saved(store, x=1)
    if state != "saved" and state != "new":
        session = reopened(store, session)
    if state == "loaded":
        assert session["x"] == 1
    again = copied(session)
    again["y"] = 2
    again.save()
    assert reopened(store, again)["y"] == 2


def test_session_of_the_test_client_can_be_pickled(engine: str, user: User) -> None:
    client = Client()
    client.force_login(user)
    session = client.session
    session["x"] = 1
    session.save()
    again = pickle.loads(pickle.dumps(session))
    assert again["x"] == 1
    assert again["_auth_user_id"] == str(user.pk)
    assert again.session_key == session.session_key
    again["y"] = 2
    again.save()
    assert reopened(type(again), again)["y"] == 2


class TestDataOfAClass(TestCase):
    """Django copies what setUpTestData() leaves, deeply, for each test."""

    sessions: ClassVar[dict[str, Any]]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.sessions = {}
        for name, path in ENGINES.items():
            cls.sessions[name] = saved(import_module(path).SessionStore, basket=["book"])

    def test_session_is_there(self) -> None:
        for session in self.sessions.values():
            assert session["basket"] == ["book"]
            session["basket"].append("pen")
            session.save()

    def test_session_is_there_for_the_next_test(self) -> None:
        for session in self.sessions.values():
            assert session["basket"] == ["book"]


# --- values ---------------------------------------------------------------------------------------


class Pickles:
    """A serializer that holds anything."""

    def dumps(self, obj: Any) -> bytes:
        return pickle.dumps(obj)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


@pytest.mark.parametrize("mode", MODES)
def test_values_whose_comparison_is_no_bool_are_saved_and_compared(
    engine: str, mode: str, settings: Any
) -> None:
    """numpy's arrays; pandas' frames behave alike."""
    settings.SESSION_SERIALIZER = f"{__name__}.Pickles"
    visitor = Visitor(mode)
    visitor.put(a=np.zeros(3), nested={"b": [np.ones(2)]}, x=1)
    another_process()
    visitor.put(a=np.arange(3), x=2)
    another_process()

    def in_place(request: Any) -> None:
        request.session["nested"]["b"][0][:] = 7
        request.session.modified = True

    visitor.do(in_place)
    another_process()
    visitor.put(y=1)
    data = visitor.data()
    assert data["a"].tolist() == [0, 1, 2]
    assert data["nested"]["b"][0].tolist() == [7, 7]
    assert (data["x"], data["y"]) == (2, 1)


def test_array_in_the_place_of_another_value_and_back(store: Any, settings: Any) -> None:
    settings.SESSION_SERIALIZER = f"{__name__}.Pickles"
    session = saved(store, x=1)
    for value in (np.zeros(2), np.zeros((2, 2)), None, np.zeros(0), "text"):
        session = reopened(store, session)
        session["x"] = value
        session.save()
        found = reopened(store, session)["x"]
        assert np.array_equal(found, value) if value is not None else found is None


def test_array_of_another_type_with_the_same_bytes_is_a_change(store: Any, settings: Any) -> None:
    settings.SESSION_SERIALIZER = f"{__name__}.Pickles"
    session = saved(store, x=[np.zeros(2, "int64")])
    for value in (np.zeros(2, "float64"), np.zeros(4, "int32"), bytes(16), bytearray(16)):
        session = reopened(store, session)
        session["x"] = [value]
        session.save()
        assert type(reopened(store, session)["x"][0]) is type(value)
        assert getattr(reopened(store, session)["x"][0], "dtype", None) == getattr(
            value, "dtype", None
        )


def test_json_value_of_another_type_inside_of_others_is_a_change(store: Any) -> None:
    session = saved(store, x={"a": [1]})
    for value in (True, 1.0, 1, "1", None, {"b": 1}, {"b": True}):
        session = reopened(store, session)
        session["x"] = {"a": [value]}
        session.save()
        assert repr(reopened(store, session)["x"]) == repr({"a": [value]})


@pytest.mark.parametrize("mode", MODES)
def test_user_id_that_is_an_int_is_logged_in(engine: str, user: User, mode: str) -> None:
    """As tests and login shims write it."""
    visitor = shim(user, mode)
    assert visitor.who() == "ada"
    visitor.put(x=1)
    assert visitor.who() == "ada"


def test_user_id_that_is_an_int_is_ended_with_all_of_the_user_s(engine: str, user: User) -> None:
    visitor = shim(user)
    assert visitor.who() == "ada"
    revoke_user_sessions(user)
    assert visitor.who() == ""


def test_user_id_that_is_an_int_is_bound_by_the_absolute_age(
    engine: str, user: User, clock: Any, settings: Any
) -> None:
    settings.JWTSESSION = {"ABSOLUTE_AGE": 10 * DAY}
    visitor = shim(user)
    for _ in range(3):
        clock.shift(3 * DAY)
        assert visitor.who() == "ada"
    clock.shift(2 * DAY)
    assert visitor.who() == ""


def test_user_id_that_is_an_int_names_the_user_in_the_lists(user: User, settings: Any) -> None:
    for name in ("db", "hybrid"):
        settings.SESSION_ENGINE = ENGINES[name]
        shim(user)
        assert Session.objects.latest("created_at").user_id == user.pk


def shim(user: User, mode: str = "sync") -> Visitor:
    """Return a visitor in whose session somebody has written the user by hand."""
    client = Client()
    session = client.session
    session["_auth_user_id"] = user.pk
    session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.save()
    return Visitor(mode, session.session_key)


# --- odd users ------------------------------------------------------------------------------------


def run_odd_site(engine: str, scene: str) -> str:
    """Run a scene on a site whose users' key is text of a class of its own."""
    environ = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.odd_site.run", engine, scene],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout or done.stderr[-2000:]


@pytest.mark.processes
def test_user_whose_key_takes_values_only_logs_in(engine: str) -> None:
    """Its field overrides get_db_prep_save(), as Wagtail's test user's does."""
    assert run_odd_site(engine, "login") == "done\n"


@pytest.mark.processes
def test_user_whose_key_is_a_star_ends_only_their_own_sessions(engine: str) -> None:
    assert run_odd_site(engine, "star") == "done\n"


@pytest.mark.processes
@pytest.mark.parametrize("engine", ["db", "hybrid"])
def test_rows_of_the_project_that_hang_on_a_session_go_with_it_and_stop_no_login(
    engine: str,
) -> None:
    assert run_odd_site(engine, "carts") == "done\n"


@pytest.mark.processes
@pytest.mark.parametrize("scene", ["parts", "wholes"])
def test_users_in_two_tables_log_in_and_what_happens_to_either_half_ends_their_sessions(
    engine: str, scene: str
) -> None:
    assert run_odd_site(engine, scene) == "done\n"


# --- keys that are none ---------------------------------------------------------------------------


def keys_that_are_none() -> list[Any]:
    cookies = SimpleCookie("sessionid=abcdefghijklmnopqrstuvwxyz")
    return [cookies["sessionid"], b"abcdefghijklmnopqrstuvwxyz", 12345678, 1.5, ["a" * 40], {"a"}]


@pytest.mark.parametrize("key", keys_that_are_none(), ids=lambda key: type(key).__name__)
def test_key_that_is_no_text_is_an_anonymous_session(store: Any, key: Any) -> None:
    session = store(key)
    assert dict(session.items()) == {}
    assert session.session_key is None
    assert store().exists(key) is False
    session["x"] = 1
    session.save()
    assert reopened(store, session)["x"] == 1


@pytest.mark.parametrize("key", keys_that_are_none(), ids=lambda key: type(key).__name__)
def test_key_that_is_no_text_ends_nothing(store: Any, key: Any) -> None:
    session = saved(store, x=1)
    store().delete(key)
    assert reopened(store, session)["x"] == 1


async def test_key_that_is_no_text_is_an_anonymous_session_in_async_code(store: Any) -> None:
    for key in keys_that_are_none():
        assert await store(key).aget("x") is None


# --- nothing in a repr ----------------------------------------------------------------------------


def test_repr_of_a_session_and_of_what_it_knows_shows_no_data(store: Any, user: User) -> None:
    session = saved(store, note=SECRET, _auth_user_id=str(user.pk), _auth_user_hash="f00d" * 16)
    again = reopened(store, session)
    assert again["note"] == SECRET
    again["more"] = SECRET
    for one in (session, again):
        known = [v for v in vars(one).values() if type(v).__module__.startswith("django_jwt")]
        texts = [repr(one), str(one), *map(repr, known), *map(str, known)]
        for text in texts:
            assert SECRET not in text
            assert "f00d" not in text
            assert one.session_key not in text


def test_repr_of_claims_shows_no_data(store: Any) -> None:
    session = saved(store, note=SECRET)
    cookie = Visitor()
    cookie.put(note=SECRET)
    for token in (session.session_key, cookie.cookie):
        try:
            claims = get_config().codec.read(token, NOW)
        except BadToken:  # a key of 40 characters is none
            continue
        assert SECRET not in repr(claims)
        assert SECRET not in str(claims)


def test_repr_of_a_row_shows_no_data(db_engine: None) -> None:
    Visitor().put(note=SECRET)
    row = Session.objects.get()
    assert row.get_decoded()["note"] == SECRET
    assert SECRET not in f"{row} {row!r} {Session.objects.all()!r}"


def test_error_of_a_session_that_has_ended_shows_no_data(store: Any) -> None:
    session = saved(store, note=SECRET)
    key, late = session.session_key, reopened(store, session)
    late["more"] = SECRET
    session.delete()
    with pytest.raises(UpdateError) as caught:
        late.save()
    assert SECRET not in repr(caught.value)
    assert key not in repr(caught.value)


# --- other apps -----------------------------------------------------------------------------------


def test_check_says_what_became_of_django_s_session_where_both_apps_are_installed(
    settings: Any,
) -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.sessions"]
    found = [message for message in checks.run_checks() if "revoke_user_sessions" in str(message)]
    assert found
    assert "django.contrib.sessions" in str(found[0])
    assert found[0].level < checks.ERROR


def test_check_says_nothing_of_it_where_one_app_is_installed() -> None:
    assert not [
        message for message in checks.run_checks() if "revoke_user_sessions" in str(message)
    ]


def test_audit_apps_that_listen_to_all_models_see_no_session_data(
    engine: str, user: User, clock: Any
) -> None:
    """django-easy-audit, auditlog: what they write down is a model's fields and their changes."""
    seen: list[str] = []

    def audit(sender: Any, instance: Any = None, **kwargs: Any) -> None:
        if sender._meta.app_label == "django_jwtsession":
            seen.extend(str(value) + repr(value) for value in vars(instance).values())
            binary = [v for v in vars(instance).values() if isinstance(v, bytes | memoryview)]
            seen.extend(bytes(value).decode("latin-1") for value in binary)

    heard = [signals.pre_save, signals.post_save, signals.pre_delete, signals.post_delete]
    for signal in heard:
        signal.connect(audit)
    try:
        visitor = Visitor()
        visitor.put(note=SECRET)
        visitor.login(user)
        key = visitor.key()
        visitor.put(more=SECRET)
        clock.shift(4 * DAY)
        visitor.who()
        visitor.logout()
    finally:
        for signal in heard:
            signal.disconnect(audit)
    text = "".join(seen)
    assert SECRET not in text
    assert user.get_session_auth_hash() not in text
    assert key[22:] not in text


def test_short_secret_key_of_a_project_s_tests_is_no_error(settings: Any) -> None:
    """`manage.py test` runs the checks when the test environment is set up, DEBUG being off."""
    settings.SECRET_KEY = "test"
    settings.DEBUG = False
    assert [m for m in checks.run_checks() if m.level >= checks.ERROR] == []


# --- too large ------------------------------------------------------------------------------------


def test_error_names_compress_where_that_would_fit(cookie_engine: None) -> None:
    store = import_module(ENGINES["cookie"]).SessionStore
    with pytest.raises(SessionTooLarge, match="COMPRESS"):
        saved(store, account={"text": "the same again " * 400})


def test_error_does_not_name_compress_where_that_would_not_fit(cookie_engine: None) -> None:
    store = import_module(ENGINES["cookie"]).SessionStore
    with pytest.raises(SessionTooLarge) as caught:
        saved(store, noise=os.urandom(4000).hex())
    assert "COMPRESS" not in str(caught.value)


def test_error_does_not_name_compress_where_it_is_on(cookie_engine: None, settings: Any) -> None:
    settings.JWTSESSION = {"COMPRESS": True}
    store = import_module(ENGINES["cookie"]).SessionStore
    saved(store, account={"text": "the same again " * 400})
    with pytest.raises(SessionTooLarge) as caught:
        saved(store, noise=os.urandom(4000).hex())
    assert "COMPRESS" not in str(caught.value)


def too_large(request: Any) -> None:
    request.session["noise"] = os.urandom(4000).hex()


def many_messages(request: Any) -> None:
    for number in range(60):
        messages.info(request, f"{number} {os.urandom(50).hex()}")


@pytest.mark.parametrize("view", [too_large, many_messages])
@pytest.mark.parametrize("mode", MODES)
def test_session_that_is_too_large_is_a_500_that_says_so_and_nothing_is_cut_off(
    cookie_engine: None, settings: Any, caplog: Any, view: Any, mode: str
) -> None:
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
    visitor = Visitor(mode)
    visitor.put(x=1)
    before = visitor.cookie
    visitor.client.raise_request_exception = False

    async def aview(request: Any) -> None:
        await request.session.aget("x")
        view(request)

    visitor.send(view, aview, "post")
    assert visitor.status == 500
    assert visitor.got is None
    assert visitor.cookie == before
    errors = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert SessionTooLarge in errors
    visitor.client.raise_request_exception = True
    assert visitor.data() == {"x": 1}


# --- as with Django's engines ---------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
@pytest.mark.parametrize("ends", [False, True])
def test_session_that_could_not_be_created_anew_goes_on_as_it_was(
    engine: str, user: User, ends: bool
) -> None:
    visitor = Visitor()
    visitor.login(user)

    def view(request: Any) -> None:
        assert "x" not in request.session
        with pytest.raises(CreateError):
            request.session.save(must_create=True)
        if ends:
            request.session.flush()
        else:
            request.session["x"] = 1

    before = visitor.copy()
    visitor.do(view, "post")
    assert visitor.data() == ({} if ends else {"x": 1})
    assert (before.who(), Session.objects.count()) == (("", 0) if ends else ("ada", 1))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("is_loaded", [True, False])
def test_view_that_creates_a_session_and_fails_leaves_the_browser_with_its_own(
    engine: str, user: User, mode: str, is_loaded: bool
) -> None:
    visitor = Visitor(mode)
    visitor.login(user)
    before = visitor.cookie

    def view(request: Any) -> None:
        if is_loaded:
            request.session.get("x")
        request.session.create()
        raise ValueError

    async def aview(request: Any) -> None:
        if is_loaded:
            await request.session.aget("x")
        await request.session.acreate()
        raise ValueError

    visitor.client.raise_request_exception = False
    visitor.send(view, aview, "get")
    assert (visitor.cookie, visitor.who()) == (before, "ada")


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
@pytest.mark.parametrize("fails", [True, False])
def test_session_that_is_created_in_the_place_of_one_that_was_deleted_goes_on(
    engine: str, user: User, fails: bool
) -> None:
    visitor = Visitor()
    visitor.login(user)

    def view(request: Any) -> None:
        request.session.get("x")
        request.session.delete()
        request.session.create()
        if fails:
            raise ValueError

    visitor.client.raise_request_exception = False
    visitor.send(view, view, "post")
    assert visitor.who() == "ada"


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
@pytest.mark.parametrize("mode", MODES)
def test_who_logs_in_after_the_view_has_deleted_the_session_is_logged_in(
    engine: str, user: User, mode: str
) -> None:
    visitor = Visitor(mode)
    visitor.login(user)
    sid = Session.objects.get().sid

    def view(request: Any) -> None:
        request.session.get("x")
        request.session.delete()
        login(request, user)

    async def aview(request: Any) -> None:
        await request.session.aget("x")
        await request.session.adelete()
        await alogin(request, user)

    visitor.send(view, aview, "post")
    assert visitor.who() == "ada"
    assert Session.objects.get().sid != sid


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
def test_cookie_of_a_session_that_the_view_has_deleted_unread_goes(engine: str, user: User) -> None:
    visitor = Visitor()
    visitor.login(user)

    def view(request: Any) -> Any:
        request.session.delete()
        return request.session.get("x")

    visitor.do(view, "post")
    assert not visitor.cookie


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
@pytest.mark.parametrize("algorithm", ["A256GCM", "HS256"])
def test_session_that_was_cleared_unread_has_its_key(
    engine: str, user: User, settings: Any, algorithm: str
) -> None:
    settings.JWTSESSION = {"ALGORITHMS": [algorithm]}
    visitor = Visitor()
    visitor.put(x=1)

    def view(request: Any) -> tuple[Any, Any]:
        request.session.clear()
        return request.session.session_key, dict(request.session.items())

    key, data = visitor.do(view, "post")
    assert data == {}
    assert import_module(ENGINES[engine]).SessionStore(key).exists(key)
    assert visitor.data() == {}
