"""How the database finds the rows of each operation: by an index, however large the tables are.

Each operation runs on tables of ROWS rows, and the database explains what was executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks import bulk
from django_jwtsession.admin.lists import CappedPaginator
from django_jwtsession.backends.db import SessionStore
from django_jwtsession.models import Session, SessionEvent
from django_jwtsession.models import clearing as cleanup
from django_jwtsession.revocation import ending as revocation
from django_jwtsession.revocation import feed as feed_module
from django_jwtsession.revocation import (
    revoke_all_sessions,
    revoke_session,
    revoke_user_sessions,
)
from django_jwtsession.revocation.feed import Feed
from django_jwtsession.tokens.sid import new_sid
from tests.factories import UserFactory, browser

from .plans import Scan, reads_to_the_end, scans

pytestmark = pytest.mark.django_db

# SQLite chooses by what ANALYZE has counted, of fewer rows as well.
ROWS = 30_000 if connection.vendor != "sqlite" else 12_000
SESSIONS = "/admin/django_jwtsession/session/"
HISTORY = "/admin/django_jwtsession/sessionevent/"


@pytest.fixture(scope="module", autouse=True)
def filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Tables of ROWS rows, with what their databases know of them."""
    with django_db_blocker.unblock():
        bulk.fill(connection, ROWS, revocations=ROWS)
    yield
    with django_db_blocker.unblock():
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture
def outside_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a site: the feed asks the database, and logins clear."""
    for module in (feed_module, cleanup):
        monkeypatch.setattr(module, "in_test_environment", lambda: False)


def but_for_the_newest_line(found: list[Scan]) -> list[Scan]:
    """Leave out the look for the feed's newest line, which clearing keeps: one step of the key."""
    newest = "ORDER BY 1 DESC LIMIT 1"
    return [scan for scan in found if not (scan.limited and scan.sql.endswith(newest))]


def living() -> Any:
    """Return a session of the bulk that is in force, with a user."""
    return Session.objects.in_force().exclude(user=None).order_by("-pk")[7]


# --- engines --------------------------------------------------------------------------------------


@pytest.fixture
def token() -> str:
    return bulk.token_of(living().pk)


def write(session: SessionStore) -> None:
    session["cart"] = [1]
    session.save()


def touch(session: SessionStore) -> None:
    session.get("cart")
    session.touch()


def is_over(session: SessionStore) -> None:
    session.get("cart")
    assert session.is_over()  # with its row there: the users of the bulk have other passwords


def refresh(session: SessionStore) -> None:
    session.set_expiry(20 * 86400)
    assert session.refresh()


@pytest.mark.parametrize(
    "use",
    [
        SessionStore.load,
        write,
        touch,
        refresh,
        SessionStore.cycle_key,
        SessionStore.delete,
        is_over,
        SessionStore.revalidate,
    ],
)
def test_engines_find_their_row_by_its_key(use: Callable[[Any], Any], token: str) -> None:
    assert scans(lambda: use(SessionStore(token))) == []


# --- people ---------------------------------------------------------------------------------------


def end_one(client: Client) -> Any:
    other = browser(get_user_model().objects.get(username="grace"))
    return client.post(f"/sessions/{other.session.sid}/end/")


@pytest.mark.parametrize(
    "visit",
    [
        lambda client: client.get("/"),
        lambda client: client.get("/session/"),
        lambda client: client.get("/sessions/"),
        lambda client: client.get("/sessions/history/"),
        end_one,
        lambda client: client.post("/sessions/end-others/"),
        lambda client: client.post("/sessions/end-all/"),
        lambda client: client.post("/logout/"),
    ],
    ids=["home", "json", "sessions", "history", "end one", "end others", "end all", "logout"],
)
def test_pages_of_a_user_read_no_table_to_its_end(
    engine: str, visit: Callable[[Client], Any]
) -> None:
    client = browser(UserFactory(username="grace"))

    def answered() -> None:
        client.get("/sessions/history/")  # not every page asks the database with every engine
        assert visit(client).status_code in {200, 302}

    assert scans(answered) == [] if engine == "db" else not reads_to_the_end(answered)


def test_login_reads_no_table_to_its_end(
    engine: str, outside_tests: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the limit of sessions, the history's look for new devices, and clearing by the way."""
    settings.JWTSESSION = {"MAX_SESSIONS_PER_USER": 2}
    user = UserFactory(username="grace")
    browser(user), browser(user)
    monkeypatch.setattr(cleanup, "_next_at_login", 0.0)
    assert but_for_the_newest_line(scans(lambda: browser(user))) == []


# --- ending and clearing --------------------------------------------------------------------------


def test_ending_one_or_a_users_finds_them_by_an_index(engine: str) -> None:
    session = living()
    assert scans(lambda: revoke_session(session.sid)) == []
    assert scans(lambda: revoke_session(new_sid())) == []
    assert scans(lambda: revoke_user_sessions(session.user_id, keep=session)) == []
    assert scans(lambda: revoke_user_sessions(session.user_id)) == []


def test_ending_all_walks_the_key_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch by batch it goes on where it was: it does not look for the rest from the beginning."""
    monkeypatch.setattr(revocation, "_BATCH", 100)  # 1000 of 30,000 are worth reading them all
    with CaptureQueriesContext(connection) as queries:
        found = scans(revoke_all_sessions)
    asked = (query["sql"] for query in queries)
    looks = [sql for sql in asked if sql.startswith("SELECT") and "ORDER BY" in sql]
    assert [" > " in sql for sql in looks] == [False] + [True] * (len(looks) - 1)
    assert len(looks) > 100
    assert not [scan for scan in found if not scan.limited]
    assert len(found) <= 1


def test_clearing_walks_the_index_of_ends(engine: str) -> None:
    later = timezone.now() + timedelta(days=1)
    with time_machine.travel(later):
        assert but_for_the_newest_line(scans(partial(call_command, "clearsessions"))) == []


# --- the feed -------------------------------------------------------------------------------------


def test_feed_asks_for_what_is_new_by_an_index(outside_tests: None) -> None:
    feed = Feed()
    assert not reads_to_the_end(feed.refresh)  # the first time it walks the key, in batches
    revoke_session(living().sid)
    feed._next_ask = 0.0
    assert scans(feed.refresh) == []
    feed._next_ask = feed._learning.next_long_look = 0.0
    # Once a minute the lines are counted that end later: nearly all, for which no index is quicker.
    assert [scan for scan in scans(feed.refresh) if "COUNT(" not in scan.sql] == []


# --- the admin ------------------------------------------------------------------------------------


@pytest.fixture
def staff() -> Client:
    return browser(UserFactory(username="root", admin=True))


@pytest.fixture(params=["analyzed", "not analyzed"])
def analyzed(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the database knows of its tables: SQLite nothing, unless somebody runs ANALYZE."""
    if request.param == "analyzed":
        yield
        return
    if connection.vendor != "sqlite":
        pytest.skip("analyzes its tables by itself")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE known AS SELECT * FROM sqlite_stat1")
        cursor.execute("DELETE FROM sqlite_stat1")
        cursor.execute("ANALYZE sqlite_schema")
        yield
        cursor.execute("INSERT INTO sqlite_stat1 SELECT * FROM known")
        cursor.execute("ANALYZE sqlite_schema")


@pytest.mark.usefixtures("analyzed")
@pytest.mark.parametrize("path", [SESSIONS, HISTORY], ids=["sessions", "history"])
def test_lists_of_the_admin_read_no_table_to_its_end(
    staff: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CappedPaginator, "cap", 1000)  # of 30,000; 10,000 are worth sorting them
    changes = staff.get(path).context["cl"]
    queries = {
        choice["query_string"] for spec in changes.filter_specs for choice in spec.choices(changes)
    }
    session = living()
    searches = (session.sid, str(session.pk), "user777", "10.1.0.1", "nobody has this")
    queries |= {"?p=50", *(f"?q={term}" for term in searches)}
    assert len(queries) > 30
    for query in sorted(queries):
        assert reads_to_the_end(partial(staff.get, path + query)) == [], query


@pytest.mark.parametrize("name", ["change", "delete", "history"])
def test_pages_of_one_session_find_it_by_its_key(staff: Client, name: str) -> None:
    url = f"{SESSIONS}{living().pk}/{name}/"
    assert scans(lambda: staff.get(url)) == []


@pytest.mark.parametrize("name", ["change", "history"])
def test_pages_of_one_event_find_it_by_its_key(staff: Client, name: str) -> None:
    url = f"{HISTORY}{SessionEvent.objects.earliest('pk').pk}/{name}/"
    assert scans(lambda: staff.get(url)) == []
