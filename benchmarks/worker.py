"""One process for one engine and one interface: answers questions from stdin, one JSON line each.

Every request of the engine is paired with one of the baseline, the same handler without sessions,
so that both meet the same noise; an answer has the medians of both.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from importlib import import_module
from statistics import mean, median
from typing import Any
from unittest import mock

SCENARIOS = ("anonymous", "untouched", "read", "user", "write", "refresh", "forged", "mix")
PAGES = {"untouched": "plain", "user": "user", "write": "write"}  # "read" for the others
WEIGHTS = {"read": 90, "untouched": 5, "write": 4, "login/logout": 1}
MIX = [kind for kind, count in WEIGHTS.items() for _ in range(count)]


class Worker:
    """The site with one engine, and a visitor who is logged in."""

    def __init__(
        self, name: str, interface: str, clock: str, database_url: str, redis_url: str
    ) -> None:
        from benchmarks import project

        self.engine = project.ENGINES[name]
        project.configure(self.engine, database_url, redis_url, interface == "asgi")
        import django

        django.setup()
        from benchmarks.clients import CLOCKS, INTERFACES, Client

        Client.clock = staticmethod(CLOCKS[clock])
        self._client, self._handler = INTERFACES[interface]
        self._prepare_user(project)
        self.has_sessions = bool(self.engine.session_engine)
        self.baseline = self._client(self._load([]))
        sessions = [self.engine.middleware] if self.has_sessions else []
        auth = [project.OUR_AUTH if self.engine.ours else project.STOCK_AUTH] if sessions else []
        self.sessions = self._load(sessions)
        self.with_user = self._load(sessions + auth)
        self._jar = self._log_in() if self.has_sessions else None
        random.seed(1)
        gc.collect()
        gc.freeze()

    def _prepare_user(self, project: Any) -> None:
        from django.contrib.auth import get_user_model, user_logged_in
        from django.contrib.auth.models import update_last_login
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        user, _ = get_user_model().objects.get_or_create(username="ada")
        # Django writes the user's row at each login, whatever the engine.
        user_logged_in.disconnect(update_last_login, dispatch_uid="update_last_login")
        user.backend = "django.contrib.auth.backends.ModelBackend"
        project.Visitor.user = user

    def _load(self, middleware: list[str]) -> Any:
        from django.conf import settings

        settings.MIDDLEWARE = middleware
        return self._handler()

    def _log_in(self) -> str:
        client = self._client(self.sessions)
        client.get("login")
        assert client.cookie is not None
        assert client.status == 200
        return client.cookie

    # --- one block -------------------------------------------------------------------------------

    def measure(self, scenario: str, seconds: float) -> dict[str, Any]:
        """Run pairs of requests for about `seconds`; return what they took, in microseconds."""
        with ExitStack() as stack:
            client, page, before = self._scene(scenario, stack)
            for _ in range(3):
                before()
                client.get(page)
            if scenario == "mix" and self.has_sessions:
                return self._mix(client)
            base, engine = [], []
            end = time.perf_counter() + seconds
            while len(base) < 8 or time.perf_counter() < end:
                before()
                # In turn first and second, so that neither always meets the other's warm caches.
                if len(base) % 2:
                    engine.append(client.get(page))
                    base.append(self.baseline.get("plain"))
                else:
                    base.append(self.baseline.get("plain"))
                    engine.append(client.get(page))
            self._keep(client)
        return {"base": median(base) / 1e3, "engine": median(engine) / 1e3, "n": len(base)}

    def cost(self, scenario: str) -> dict[str, Any]:
        """Return the queries and the Set-Cookie bytes of a request, the feed's polls left out."""
        from django.db import connection

        queries: list[str] = []

        def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            queries.append(sql)
            return execute(sql, params, many, context)

        with ExitStack() as stack:
            client, page, before = self._scene(scenario, stack)
            client.get(page)
            seen = []
            for _ in range(3):
                before()
                queries.clear()
                client.cookie_bytes = 0
                with connection.execute_wrapper(count):
                    client.get(page)
                asked = [sql for sql in queries if "jwtsession_revocation" not in sql]
                seen.append((len(asked), client.cookie_bytes))
            self._keep(client)
        return {"queries": median(q for q, _ in seen), "cookie": median(b for _, b in seen)}

    def _scene(self, scenario: str, stack: ExitStack) -> tuple[Any, str, Callable[[], object]]:
        client = self._client(self.with_user if scenario == "user" else self.sessions, self._jar)
        if not self.has_sessions:
            return client, "plain", _nothing
        if scenario == "anonymous":
            client.cookie, client.follows = None, False
        elif scenario == "forged":
            client.cookie, client.follows = self._forge(self._jar), False
        elif scenario == "refresh":
            return client, "read", self._make_due(client, stack)
        return client, PAGES.get(scenario, "read"), _nothing

    def _keep(self, client: Any) -> None:
        if self.has_sessions and client.follows:
            self._jar = client.cookie

    @staticmethod
    def _forge(cookie: str) -> str:
        at = len(cookie) * 6 // 10
        return cookie[:at] + ("b" if cookie[at] != "b" else "c") + cookie[at + 1 :]

    def _make_due(self, client: Any, stack: ExitStack) -> Callable[[], object]:
        """Let each request find a session whose idle time is more than half over.

        Peers know no such thing: with them each request saves, which is all that Django offers.
        """
        from django.conf import settings
        from django.utils import timezone

        if not self.engine.ours:
            settings.SESSION_SAVE_EVERY_REQUEST = True
            stack.callback(setattr, settings, "SESSION_SAVE_EVERY_REQUEST", False)
            return _nothing
        client.follows = False
        age = settings.SESSION_COOKIE_AGE
        stateless = self.engine.session_engine.endswith("cookie")
        past = time.time() - (0.6 * age if stateless else 120)
        with mock.patch("time.time", return_value=past):
            client.cookie = self._log_in()
        if stateless:
            return _nothing
        from django_jwtsession.models import Session
        from django_jwtsession.sids import uuid_from_sid

        store = import_module(self.engine.session_engine).SessionStore(client.cookie)
        row = Session.objects.filter(pk=uuid_from_sid(store.sid))
        return lambda: row.update(expires_at=timezone.now() + timedelta(seconds=0.4 * age))

    def _mix(self, client: Any) -> dict[str, Any]:
        """Two hundred requests of one visitor, and another who logs in and out."""
        other = self._client(self.sessions)
        times: dict[str, list[int]] = {kind: [] for kind in WEIGHTS}
        base = []
        for kind in _shuffled(MIX) + _shuffled(MIX):
            base.append(self.baseline.get("plain"))
            if kind == "login/logout":
                times[kind].append(other.get("logout" if other.cookie else "login"))
            else:
                times[kind].append(client.get(PAGES.get(kind, "read")))
        self._keep(client)
        # Two would say little of what a login takes; more count no more than their hundredth.
        turns = times["login/logout"]
        turns += [other.get("logout" if other.cookie else "login") for _ in range(8)]
        # A median of each kind: a mean over all would be that of the noise.
        middle = {kind: median(found) for kind, found in times.items()}
        middle["login/logout"] = mean((median(turns[::2]), median(turns[1::2])))
        engine = sum(WEIGHTS[kind] * middle[kind] for kind in WEIGHTS) / 100
        return {"base": median(base) / 1e3, "engine": engine / 1e3, "n": len(base)}


def _nothing() -> None:
    pass


def _shuffled(kinds: list[str]) -> list[str]:
    return random.sample(kinds, len(kinds))


def questions() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def main() -> None:
    import logging

    logging.getLogger("django.request").setLevel(logging.CRITICAL)
    worker = Worker(*sys.argv[1:6])
    print(json.dumps("ready"), flush=True)
    for question in questions():
        if "cost" in question:
            answer = worker.cost(question["cost"])
        else:
            answer = worker.measure(question["scenario"], question["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
