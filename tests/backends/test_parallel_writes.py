"""Parallel writes to one session: different keys are all kept. Threads, on a real database each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_jwtsession.backends import rows, writing
from django_jwtsession.models import Session
from django_jwtsession.models.retry import is_conflict

from ..conftest import ENGINES
from ..services.conftest import SEVERAL_NODES

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8


@pytest.fixture(params=["db", "hybrid"])
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Both engines with rows."""
    settings.SESSION_ENGINE = ENGINES[request.param]
    name: str = request.param
    return name


@pytest.fixture
def shared_database(tmp_path: Any) -> Iterator[None]:
    """A database that threads can share: SQLite's in memory is none, so a file in its place."""
    if connection.vendor != "sqlite":
        yield
        return
    in_memory, settings = connections["default"], connections.settings["default"]
    connections.settings["default"] = copy.deepcopy(settings) | {
        "NAME": str(tmp_path / "db.sqlite3"),
        "OPTIONS": {"timeout": 20},
    }
    del connections["default"]
    call_command("migrate", verbosity=0)
    yield
    connections["default"].close()
    connections.settings["default"] = settings
    connections["default"] = in_memory


def saved(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


def opened(session: Any) -> Any:
    """Return the session as another request has it: loaded."""
    other = type(session)(session.session_key)
    other.keys()
    return other


def data_of(session: Any) -> dict[str, Any]:
    return dict(type(session)(session.session_key).items())


def in_threads(work: Callable[[int], None], count: int = THREADS) -> None:
    """Run `work(number)` in threads that begin together; raise what one of them raises."""
    barrier = Barrier(count)

    def run(number: int) -> None:
        try:
            barrier.wait(10)
            work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(run, range(count)))


def test_writes_of_different_keys_are_all_kept(shared_database: None, store: Any) -> None:
    session = saved(store, start=1)
    each = 6

    def work(number: int) -> None:
        for turn in range(each):
            mine = type(session)(session.session_key)
            mine[f"{number}.{turn}"] = turn
            mine.save()

    in_threads(work)
    assert len(data_of(session)) == 1 + THREADS * each
    assert Session.objects.get().version == 1 + THREADS * each


def test_requests_that_all_read_before_any_wrote_are_all_kept(
    shared_database: None, store: Any
) -> None:
    session = saved(store, start=1)
    read = Barrier(THREADS)

    def work(number: int) -> None:
        mine = opened(session)
        read.wait(10)
        mine[str(number)] = number
        mine.save()

    in_threads(work)
    assert data_of(session) == {"start": 1} | {str(n): n for n in range(THREADS)}


def test_requests_in_transactions_are_all_kept(shared_database: None, store: Any) -> None:
    """ATOMIC_REQUESTS: MariaDB shows such a transaction the row as it was when it began.

    On several nodes those that meet are undone at COMMIT; whose they are tries again.
    """
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer: transactions that read first cannot be interleaved")
    session = saved(store, start=1)
    read = Barrier(4)

    def request(number: int, tries: int = 1) -> None:
        with transaction.atomic():
            mine = opened(session)
            if tries == 1:
                read.wait(10)
            mine[str(number)] = number
            mine.save()

    def work(number: int) -> None:
        for tries in range(1, 10):
            try:
                return request(number, tries)
            except OperationalError as error:
                if not SEVERAL_NODES or not is_conflict(error):
                    raise
        raise AssertionError("not in nine tries")

    in_threads(work, 4)
    assert data_of(session) == {"start": 1} | {str(n): n for n in range(4)}


def test_only_one_thread_ends_a_session_and_no_write_brings_it_back(
    shared_database: None, store: Any
) -> None:
    session = saved(store, start=1)
    refused: list[int] = []
    read = Barrier(THREADS)

    def work(number: int) -> None:
        mine = opened(session)
        read.wait(10)
        if number == 0:
            mine.flush()
            return
        mine["x"] = number
        try:
            mine.save()
        except UpdateError:
            refused.append(number)

    in_threads(work)
    assert not Session.objects.exists()


# --- two requests, one after the other, both of which read first ----------------------------------


def overtaken(session: Any, first: Callable[[Any], None], then: Callable[[Any], None]) -> Any:
    """Let one request change the session while another is under way; return what is left."""
    slow, fast = opened(session), opened(session)
    first(fast)
    fast.save()
    then(slow)
    slow.save()
    assert data_of(session) == dict(slow.items())
    return data_of(session)


def setting(**values: Any) -> Callable[[Any], None]:
    return lambda session: session.update(values)


def deleting(key: str) -> Callable[[Any], None]:
    return lambda session: session.pop(key)


def changing_in_place(session: Any) -> None:
    session["cart"][0]["n"] += 1
    session.modified = True


@pytest.mark.parametrize(
    ("before", "first", "then", "after"),
    [
        ({"x": 1}, setting(a=1), setting(b=2), {"x": 1, "a": 1, "b": 2}),
        ({"x": 1}, setting(x=2), setting(x=3), {"x": 3}),
        ({"x": 1, "y": 1}, deleting("x"), setting(y=2), {"y": 2}),
        ({"x": 1, "y": 1}, setting(y=2), deleting("x"), {"y": 2}),
        ({"x": 1}, deleting("x"), setting(x=2), {"x": 2}),
        ({"x": 1}, setting(x=2), deleting("x"), {}),
        ({"x": 1}, deleting("x"), deleting("x"), {}),
        ({"cart": [{"n": 1}]}, setting(y=1), changing_in_place, {"cart": [{"n": 2}], "y": 1}),
        ({"cart": [{"n": 1}]}, changing_in_place, setting(y=1), {"cart": [{"n": 2}], "y": 1}),
        ({"x": 1}, setting(a=1), setting(x=True), {"x": True, "a": 1}),
        ({"x": 1}, setting(a=1), setting(x=1.0), {"x": 1.0, "a": 1}),
        ({"x": [1]}, setting(a=1), setting(x=[True]), {"x": [True], "a": 1}),
        ({}, setting(a=None), setting(b=None), {"a": None, "b": None}),
    ],
)
def test_later_write_keeps_what_it_did_not_change(
    store: Any, before: dict[str, Any], first: Any, then: Any, after: dict[str, Any]
) -> None:
    left = overtaken(saved(store, **before), first, then)
    assert left == after
    assert [type(value) for value in left.values()] == [type(v) for v in after.values()]


def test_request_that_set_a_value_to_what_it_was_undoes_no_other(store: Any) -> None:
    session = saved(store, x=1)
    slow = opened(session)
    overtaken(session, setting(x=2), setting(y=1))
    slow["x"] = 1
    slow.save()
    assert data_of(session) == {"x": 2, "y": 1}


def test_clear_in_one_request_leaves_what_the_other_added(store: Any) -> None:
    left = overtaken(saved(store, x=1, y=1), setting(z=1), lambda session: session.clear())
    assert left == {"z": 1}


def test_second_write_of_a_request_builds_on_what_it_merged(store: Any) -> None:
    session = saved(store, x=1)
    slow = opened(session)
    overtaken(session, setting(a=1), setting(b=1))
    slow["c"] = 1
    slow.save()
    slow["d"] = 1
    slow.save()
    assert data_of(session) == {"x": 1, "a": 1, "b": 1, "c": 1, "d": 1}


def test_write_that_is_overtaken_each_time_wins_under_a_lock(
    monkeypatch: pytest.MonkeyPatch, store: Any
) -> None:
    """After three misses the row is locked: nobody can overtake any more."""
    session = saved(store, x=0)
    update, locked = rows.update, []

    def overtaken_until_locked(
        model: Any, pk: Any, columns: Any, *args: Any, **kwargs: Any
    ) -> bool:
        if "data" in columns and not connection.in_atomic_block:
            monkeypatch.setattr(rows, "update", update)
            other = type(session)(session.session_key)
            other[f"other{len(locked)}"] = 1
            other.save()
            locked.append(1)
            monkeypatch.setattr(rows, "update", overtaken_until_locked)
        return update(model, pk, columns, *args, **kwargs)

    mine = opened(session)
    monkeypatch.setattr(rows, "update", overtaken_until_locked)
    mine["x"] = 1
    mine.save()
    monkeypatch.undo()
    assert data_of(session) == {"x": 1, "other0": 1, "other1": 1, "other2": 1}


def test_row_that_is_gone_when_the_lock_is_asked_for_is_an_update_error(
    monkeypatch: pytest.MonkeyPatch, store: Any
) -> None:
    session = saved(store, x=0)
    mine = opened(session)
    misses = []

    def missed(*args: Any, **kwargs: Any) -> bool:
        misses.append(1)
        if len(misses) == writing._OPTIMISTIC_TRIES:
            Session._base_manager.all().delete()
        return False

    monkeypatch.setattr(rows, "update", missed)
    mine["x"] = 1
    with pytest.raises(UpdateError):
        mine.save()


def test_write_that_nobody_overtakes_reads_nothing_again(store: Any) -> None:
    mine = opened(saved(store, x=1))
    mine["x"] = 2
    with CaptureQueriesContext(connection) as queries:
        mine.save()
    assert [query["sql"].split()[0] for query in queries.captured_queries] == ["UPDATE"]


def test_save_that_changes_nothing_keeps_the_version(store: Any) -> None:
    session = saved(store, x=1)
    mine = opened(session)
    mine["x"] = 1
    mine.save()
    assert Session.objects.get().version == 1
