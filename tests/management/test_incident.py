"""After an incident and for people's rights: ending by address and age, export, erase."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_jwtsession.models import Session, SessionEvent

from ..factories import SessionFactory, UserFactory, browser

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("jwtsession", *arguments, stdout=out)
    return out.getvalue().strip()


def left() -> set[Any]:
    return set(Session.objects.values_list("pk", flat=True))


def test_sessions_of_a_network_end_and_no_others(db_engine: None) -> None:
    for address in ("192.0.2.1", "192.0.2.255"):
        SessionFactory(ip_address=address)
    kept = {
        SessionFactory(ip_address=address).pk
        for address in ("192.0.20.1", "192.0.1.255", "2001:db8::1", None)
    }
    assert run("revoke", "--ip", "192.0.2.0/24", "--dry-run") == "2 sessions would end."
    assert len(left()) == 6
    assert run("revoke", "--ip", "192.0.2.0/24") == "Ended 2 sessions."
    assert left() == kept
    events = SessionEvent.objects.filter(kind="revoked")
    assert {event.detail["reason"] for event in events} == {"command"}
    assert run("revoke", "--ip", "2001:db8::/32") == "Ended 1 session."


@pytest.mark.parametrize(
    "asked", ["192.0.2.128/25", "192.0.2.129/32", "192.0.2.129", "::ffff:192.0.2.128/121"]
)
def test_network_is_met_exactly(db_engine: None, asked: str) -> None:
    SessionFactory(ip_address="192.0.2.129")
    kept = SessionFactory(ip_address="192.0.2.127")
    run("revoke", "--ip", asked)
    assert left() == {kept.pk}


def test_address_that_is_kept_as_prefix_is_found(db_engine: None, settings: Any) -> None:
    settings.JWTSESSION = {"STORE_IP": "prefix"}
    SessionFactory(ip_address="192.0.2.0")
    assert run("revoke", "--ip", "192.0.2.77") == "Ended 1 session."


def test_address_that_was_cut_since_is_found_by_its_network_alone(db_engine: None) -> None:
    SessionFactory(ip_address="192.0.2.0")  # IP_AGE has passed
    assert run("revoke", "--ip", "192.0.2.77", "--dry-run") == "0 sessions would end."
    assert run("revoke", "--ip", "192.0.2.0/24", "--dry-run") == "1 session would end."


def test_user_address_and_age_of_the_login_count_together(db_engine: None) -> None:
    now = timezone.now()
    ada = UserFactory(username="ada")
    old, young = now - timedelta(days=3), now - timedelta(hours=1)
    kept = {
        SessionFactory(user=ada, created_at=young).pk,
        SessionFactory(created_at=old).pk,
        SessionFactory(user=ada, created_at=old, ip_address="198.51.100.1").pk,
    }
    SessionFactory(user=ada, created_at=old)
    before = (now - timedelta(days=1)).isoformat()
    arguments = ("--user", "ada", "--ip", "192.0.2.0/24", "--before", before)
    assert run("revoke", *arguments) == "Ended 1 session."
    assert left() == kept


def test_before_takes_a_day_of_the_site_and_anonymous_sessions(
    db_engine: None, settings: Any
) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    at = timezone.make_aware(datetime(2026, 5, 1))
    later = {"last_seen_at": timezone.now()}
    SessionFactory(user=None, created_at=at - timedelta(seconds=1), **later)
    SessionFactory(created_at=at - timedelta(seconds=1), **later)
    kept = SessionFactory(created_at=at, **later)
    assert run("revoke", "--before", "2026-05-01") == "Ended 2 sessions."
    assert left() == {kept.pk}


def test_sessions_without_rows_end_by_their_login(cookie_engine: None) -> None:
    ada = browser(UserFactory(), REMOTE_ADDR="192.0.2.7")
    grace = browser(UserFactory(), REMOTE_ADDR="198.51.100.7")
    gone = browser(UserFactory(), REMOTE_ADDR="192.0.2.8")
    gone.post("/logout/")
    assert run("revoke", "--ip", "192.0.2.", "--dry-run") == "1 session would end."
    assert run("revoke", "--ip", "192.0.2.") == "Ended 1 session."
    assert ada.get("/closed/").status_code == 302
    assert grace.get("/closed/").status_code == 200


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--all", "--ip", "192.0.2.0/24"),
        ("--sid", "A" * 22, "--all"),
        ("--sid", "A" * 22, "--user", "ada"),
        ("--all", "--dry-run"),
        ("--ip", "nowhere"),
        ("--ip", "192.0.2.0/99"),
        ("--before", "yesterday"),
        ("--before", "2026-13-01"),
        ("--before", "0001-01-01T00:00+01:00"),
        ("--before", "9999-12-31T23:59-12:00"),
        ("--user", "nobody", "--ip", "192.0.2.0/24"),
    ],
)
def test_what_makes_no_sense_ends_nothing(db_engine: None, arguments: tuple[str, ...]) -> None:
    row = SessionFactory(user__username="ada")
    with pytest.raises(CommandError):
        run("revoke", *arguments)
    assert left() == {row.pk}


def test_export_tells_what_is_kept_on_a_person_and_no_more(db_engine: None) -> None:
    ada, root = UserFactory(username="ada"), UserFactory(username="root")
    browser(ada)
    SessionFactory(user=ada, data=b"secret")
    SessionFactory(user=root, ip_address="203.0.113.1")
    SessionEvent.objects.create(kind="revoked", user=root, actor=ada, ip_address="203.0.113.2")
    text = run("export", "--user", "ada")
    found = json.loads(text)
    assert found["user"] == {"id": ada.pk, "name": "ada"}
    sessions = found["tables"]["django_jwtsession.session"]
    assert len(sessions) == 2
    assert sessions[0]["ip_address"] in {"127.0.0.1", "192.0.2.1"}
    assert "data" not in sessions[0]
    assert [one["kind"] for one in found["tables"]["django_jwtsession.sessionevent"]] == ["login"]
    assert [one["kind"] for one in found["done_to_others"]["django_jwtsession.sessionevent"]] == [
        "revoked"
    ]
    assert "203.0.113" not in text


def test_erase_ends_the_sessions_and_leaves_nothing_but_others_history(engine: str) -> None:
    ada, root = UserFactory(username="ada"), UserFactory(username="root")
    client, other = browser(ada), browser(root)
    SessionEvent.objects.create(kind="revoked", user=root, actor=ada)
    run("erase", "--user", "ada", "--noinput")
    assert client.get("/closed/").status_code == 302
    assert other.get("/closed/").status_code == 200
    assert not Session.objects.filter(user=ada).exists()
    assert not SessionEvent.objects.filter(user=ada).exists()
    assert not SessionEvent.objects.filter(actor=ada).exists()
    assert SessionEvent.objects.filter(user=root, kind="revoked").exists()
    assert User.objects.filter(username="ada").exists()
    for table in json.loads(run("export", "--user", "ada"))["tables"].values():
        assert table == []


def test_erase_asks_for_the_name(db_engine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    row, ask = SessionFactory(user__username="ada"), input
    monkeypatch.setattr("builtins.input", lambda _: "grace")
    with pytest.raises(CommandError, match="nothing was erased"):
        run("erase", "--user", "ada")
    assert left() == {row.pk}
    monkeypatch.setattr("sys.stdin", StringIO())  # as under cron
    monkeypatch.setattr("builtins.input", ask)
    with pytest.raises(CommandError, match="nothing was erased"):
        run("erase", "--user", "ada")
    assert left() == {row.pk}
    monkeypatch.setattr("builtins.input", lambda _: "ada")
    assert run("erase", "--user", "ada").startswith("Erased ")
    assert left() == set()
