"""The logger django_jwtsession.audit, whose fields stay, and the counters of OpenTelemetry."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from django_jwtsession.history import known, log
from django_jwtsession.models.kinds import EventKind
from django_jwtsession.revocation import revoke_user_sessions
from tests.conftest import cookie

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
FIREFOX = "Mozilla/5.0 (X11; Ubuntu; rv:149.0) Firefox/149.0"


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Any:
    """What the audit log has been told so far, as dictionaries of its fields."""
    caplog.set_level(logging.INFO, "django_jwtsession.audit")

    def told() -> list[dict[str, Any]]:
        found = [r for r in caplog.records if r.name == "django_jwtsession.audit"]
        return [{name: getattr(record, name) for name in log.FIELDS} for record in found]

    return told


def log_in(client: Client, password: str = "correct horse", name: str = "ada") -> None:
    values = {"username": name, "password": password}
    client.post(reverse("login"), values, headers={"User-Agent": FIREFOX})


def test_login_and_logout_are_told_with_who_where_and_on_what(
    engine: str, client: Client, user: User, records: Any
) -> None:
    log_in(client)
    session: Any = client.session
    sid = session.sid
    client.post(reverse("logout"))
    login, logout = records()
    assert login == {
        "event": "login",
        "sid": sid,
        "user_id": str(user.pk),
        "actor_id": None,
        "reason": "",
        "ip_address": "127.0.0.1",
        "user_agent": FIREFOX,
        "browser": "Firefox 149",
        "os": "Ubuntu",
        "device": "desktop",
    }
    assert (logout["event"], logout["sid"], logout["actor_id"]) == ("logout", sid, str(user.pk))


def test_end_is_told_with_its_reason_and_who_did_it(
    engine: str, client: Client, user: User, admin_user: User, records: Any
) -> None:
    log_in(client)
    revoke_user_sessions(user, by=admin_user, reason="lost phone")
    ended = records()[-1]
    assert (ended["event"], ended["reason"]) == ("revoked", "lost phone")
    assert (ended["user_id"], ended["actor_id"]) == (str(user.pk), str(admin_user.pk))


@pytest.mark.django_db(transaction=True)
def test_end_that_is_rolled_back_is_not_told(client: Client, records: Any) -> None:
    user = User.objects.create_user("ada", password="correct horse")
    log_in(client)

    def revoke_and_fail() -> None:
        with transaction.atomic():
            revoke_user_sessions(user)
            raise DatabaseError

    with pytest.raises(DatabaseError):
        revoke_and_fail()
    assert "revoked" not in [record["event"] for record in records()]


def test_failed_login_is_told_of_nobody_as_well_without_what_was_typed(
    client: Client, user: User, records: Any, caplog: pytest.LogCaptureFixture
) -> None:
    log_in(client, password="wrong-password")
    log_in(client, name="my-secret-typed-as-a-name")
    known, unknown = records()
    assert (known["event"], known["user_id"]) == ("login_failed", str(user.pk))
    assert (unknown["event"], unknown["user_id"]) == ("login_failed", None)
    assert unknown["ip_address"] == "127.0.0.1"
    assert "my-secret" not in caplog.text + str(records())
    assert [r.levelname for r in caplog.records if r.name == log.logger.name] == ["WARNING"] * 2


def test_event_is_told_though_the_history_cannot_be_written(
    client: Client, user: User, records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise DatabaseError("no database")

    monkeypatch.setattr(known, "rows", fail)
    log_in(client)
    assert [record["event"] for record in records()] == ["login"]


def test_no_record_holds_a_token(
    engine: str, client: Client, user: User, records: Any, caplog: pytest.LogCaptureFixture
) -> None:
    log_in(client)
    token = cookie(client)
    revoke_user_sessions(user)
    client.get("/")
    assert token
    assert token not in str([vars(record) for record in caplog.records])


def test_every_event_and_field_is_documented() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## The audit log")[2], re.MULTILINE)
    assert documented[: len(log.FIELDS)] == list(log.FIELDS)
    assert {*EventKind} <= set(documented)


# In a process of its own: the provider of OpenTelemetry is set once.
_COUNTED = """
import django
from django.conf import settings
django.setup()
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
from django_jwtsession.backends.db import SessionStore
from django_jwtsession.history import log
from django_jwtsession.models import SessionEvent
log.note(SessionEvent(kind="login"))
log.note(SessionEvent(kind="login"))
SessionStore("no token at all")._get_session()
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            for point in metric.data.data_points:
                print(scope.scope.name, metric.name, dict(point.attributes), point.value)
"""


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_events_and_refusals_are_counted_by_opentelemetry() -> None:
    pytest.importorskip("opentelemetry.sdk.metrics", reason="opentelemetry-sdk is not installed")
    assert _run(_COUNTED).splitlines() == [
        "django_jwtsession django_jwtsession.events {'event': 'login'} 2",
        "django_jwtsession django_jwtsession.refusals {'reason': 'malformed'} 1",
    ]


def test_without_opentelemetry_nothing_is_missed() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None\n"
    code += "import django; django.setup()\n"
    code += "from django_jwtsession.history import log\n"
    code += "from django_jwtsession.models import SessionEvent\n"
    code += "log.note(SessionEvent(kind='login')); print(log._counters())"
    assert _run(code).strip() == "None"
