"""``jwtsession migrate`` and ``export --to``: all rows at once, and browsers find them."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from django_jwtsession.models import MovedSession, Session
from django_jwtsession.moving import bulk

from ..conftest import DAY
from ..helpers.visitor import Visitor
from .conftest import DB, SIGNED, USERS, Old, login_data, old_of, old_rows


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("jwtsession", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def django_rows() -> Any:
    model: Any = apps.get_app_config("sessions").get_model("Session")
    return model.objects


@pytest.fixture(params=["db", "hybrid"])
def rows(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.SESSION_ENGINE = f"django_jwtsession.backends.{request.param}"


@pytest.mark.parametrize("path", [DB, USERS, "django.contrib.sessions.backends.cached_db"])
def test_rows_move_in_and_browsers_find_them(
    rows: None, moving_in: Any, ada: User, clock: Any, path: str
) -> None:
    old = old_of(path)
    keys = [old.login(ada, number=number) for number in range(3)]
    clock.shift(DAY)
    moving_in(old)
    assert "3 sessions, 3 moved, 0 cannot" in run("migrate")
    assert not any(map(old.has, keys))
    assert Session.objects.filter(user=ada).count() == 3
    assert "0 sessions" in run("migrate")
    for number, key in enumerate(keys):
        browser = Visitor(cookie=key)
        assert browser.who() == "ada"
        assert browser.data() == {"number": number}
        assert Visitor(cookie=key).who() == "ada"


def test_rows_keep_end_device_and_when_they_were_seen(
    rows: None, moving_in: Any, ada: User, clock: Any, settings: Any
) -> None:
    old_of(USERS).new(login_data(ada), user_agent="curl/8.0", ip="192.0.2.7")
    clock.shift(DAY)
    moving_in(old_of(USERS))
    run("migrate")
    row = Session.objects.get()
    assert (row.user_agent, row.ip_address) == ("curl/8.0", "192.0.2.7")
    assert (row.expires_at - row.last_seen_at).total_seconds() == settings.SESSION_COOKIE_AGE


def test_dry_run_counts_and_says_why_not(
    engine: str, moving_in: Any, ada: User, settings: Any
) -> None:
    old = Old(DB)
    old.login(ada)
    old.login(ada, much="x" * 5000)
    django_rows().filter(session_key=old.login(ada)).update(session_data="nonsense")
    gone = User.objects.create_user("gone")
    old.login(gone)
    gone.delete()
    old.login(ada, _session_expiry=-1)
    moving_in(old)
    said = run("migrate", "--dry-run")
    moves = 1 if engine == "cookie" else 2
    assert f"4 sessions, {moves} can move, {4 - moves} cannot" in said
    assert "1: it is empty, or cannot be read" in said
    assert "1: it is of a user who is gone" in said
    assert ("1: it is too large for a cookie" in said) is (engine == "cookie")
    assert old_rows() == 5
    assert not Session.objects.exists()
    assert not MovedSession.objects.exists()


def test_command_can_be_stopped_and_goes_on(
    rows: None, moving_in: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 2)
    old = Old(DB)
    keys = [old.login(ada, number=number) for number in range(5)]
    django_rows().filter(session_key=old.login(ada)).update(session_data="nonsense")
    moving_in(old)

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bulk.migrate(stop)
    assert 0 < Session.objects.count() <= 2
    said = run("migrate")
    assert "sessions looked at" in said
    assert Session.objects.count() == 5
    assert [Visitor(cookie=key).who() for key in keys] == ["ada"] * 5


def test_row_that_came_back_after_its_session_has_moved_is_only_deleted(
    rows: None, moving_in: Any, ada: User
) -> None:
    """django-user-sessions stores a row anew if it is gone when a slow request saves."""
    old = old_of(USERS)
    keys = [old.login(ada, number=number) for number in range(3)]
    slow = old.store(session_key=keys[0])
    slow["number"] = 9
    moving_in(old)
    browser = Visitor(cookie=keys[0])
    assert browser.data() == {"number": 0}
    slow.save()
    why = "1 cannot\n  1: it has moved before"
    assert f"3 sessions, 2 can move, {why}" in run("migrate", "--dry-run")
    assert f"3 sessions, 2 moved, {why}" in run("migrate")
    assert old_rows() == 0
    assert Session.objects.count() == 3
    assert browser.data() == {"number": 0}


def test_engines_without_rows_move_with_the_browsers(
    engine: str, moving_in: Any, ada: User
) -> None:
    moving_in(Old(SIGNED))
    assert "moves with its browser's next request" in run("migrate")


def test_cookie_engine_has_no_rows_to_move_to(
    cookie_engine: None, moving_in: Any, ada: User
) -> None:
    old = Old(DB)
    key = old.login(ada)
    moving_in(old)
    assert "the engine `cookie` has no rows" in run("migrate")
    assert old.has(key)
    assert Visitor(cookie=key).who() == "ada"


def test_command_without_setting_or_with_a_share_says_what_to_write(
    db_engine: None, moving_in: Any
) -> None:
    moving_in(None)
    with pytest.raises(CommandError, match="MIGRATE_FROM"):
        run("migrate")
    moving_in(Old(DB), MIGRATE_SHARE=0.5)
    with pytest.raises(CommandError, match="MIGRATE_SHARE"):
        run("migrate")
    assert "0 sessions" in run("migrate", "--dry-run")


@pytest.mark.parametrize("path", [DB, USERS, "django.contrib.sessions.backends.cache"])
def test_rows_move_out_and_browsers_find_them(
    rows: None, moving_in: Any, ada: User, path: str, clock: Any
) -> None:
    old = old_of(path)
    moving_in(None)
    browsers = [Visitor() for _ in range(3)]
    for number, browser in enumerate(browsers):
        browser.put(number=number)
        browser.login(ada)
    clock.shift(DAY)
    moving_in(None, MIGRATE_TO=path)
    said = run("export", "--to", path)
    assert "3 sessions, 3 moved, 0 cannot" in said
    assert "MIGRATE_TO" not in said
    assert not Session.objects.exists()
    for number, browser in enumerate(browsers):
        assert browser.who() == "ada"
        assert browser.data() == {"number": number}
        assert old.has(browser.cookie)


def test_rows_that_move_out_keep_their_end(
    db_engine: None, moving_in: Any, ada: User, clock: Any
) -> None:
    moving_in(None)
    Visitor().login(ada)
    end = Session.objects.get().expires_at
    clock.shift(DAY)
    moving_in(None, MIGRATE_TO=DB)
    run("export", "--to", DB)
    assert abs((django_rows().get().expire_date - end).total_seconds()) < 2


def test_export_says_if_browsers_will_not_find_them(
    db_engine: None, moving_in: Any, ada: User
) -> None:
    moving_in(None)
    browser = Visitor()
    browser.login(ada)
    assert 'JWTSESSION["MIGRATE_TO"] is not' in run("export", "--to", DB)
    moving_in(None, MIGRATE_TO=DB)
    assert browser.who() == "ada"


def test_export_to_no_engine_is_an_error(db_engine: None, moving_in: Any) -> None:
    moving_in(None)
    for path in ("nonsense.engine", "django_jwtsession", "django.contrib.sessions"):
        with pytest.raises(CommandError, match="no session engine"):
            run("export", "--to", path)


def test_export_of_a_user_is_as_it_was(db_engine: None, moving_in: Any, ada: User) -> None:
    moving_in(None)
    assert '"tables"' in run("export", "--user", "ada")
    with pytest.raises(CommandError):
        run("export")
    with pytest.raises(CommandError):
        run("export", "--user", "ada", "--to", DB)
