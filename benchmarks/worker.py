"""One process for one engine and one interface: answers questions from stdin, one JSON line each.

Every request of the engine is paired with one of the baseline, the same handler without sessions,
so that both meet the same noise; an answer has the median of the baseline, and for the engine that
plus the median of the differences. The process keeps to one processor, and collects no garbage
while the clock runs.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from statistics import mean, median
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from benchmarks.clients import Jar

LOGINS = ("login", "logout")  # of another visitor
SCENARIOS = ("anonymous", "untouched", "read", "first read", "user", "write", "write by POST")
SCENARIOS += ("refresh", "forged", *LOGINS, "mix")
PAGES = {"untouched": "plain", "write by POST": "write"}  # or "read"
PAGES |= {name: name for name in ("user", "write", *LOGINS)}
WEIGHTS = {"read": 90, "untouched": 5, "write": 4, "login/logout": 1}
MIX = [kind for kind, count in WEIGHTS.items() for _ in range(count)]


class Pairs:
    """Requests of an engine, each beside one of the baseline; what they took, in nanoseconds."""

    def __init__(self, baseline: Any) -> None:
        self._baseline = baseline
        self.base: list[int] = []
        self.added: list[int] = []

    def take(self, client: Any, page: str) -> None:
        # In turn first and second, so that neither always meets the other's warm caches.
        if len(self.base) % 2:
            engine = client.get(page)
            base = self._baseline.get("plain")
        else:
            base = self._baseline.get("plain")
            engine = client.get(page)
        self.base.append(base)
        self.added.append(engine - base)


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
        from benchmarks.clients import CLOCKS, INTERFACES, NO_COOKIES, Client

        Client.clock = staticmethod(CLOCKS[clock])
        self._client, self._handler = INTERFACES[interface]
        project.prepare(self.engine)
        self.has_sessions = bool(self.engine.session_engine)
        self.baseline = self._client(self._load([]))
        self.sessions = self._load(list(self.engine.middleware))
        self.with_user = self._load(self.engine.with_user) if self.has_sessions else self.sessions
        self._jar = self._log_in() if self.has_sessions else NO_COOKIES
        random.seed(1)
        gc.collect()
        gc.freeze()

    def _load(self, middleware: list[str]) -> Any:
        from django.conf import settings

        settings.MIDDLEWARE = middleware
        return self._handler()

    def _log_in(self) -> Jar:
        client = self._client(self.sessions)
        client.get("login")
        if "DBSC" in self.engine.settings:
            client.method = "POST"
            client.get("bind")
        assert client.cookie is not None
        assert client.status == 200
        jar: Jar = client.jar
        return jar

    # --- one block -------------------------------------------------------------------------------

    def measure(self, scenario: str, seconds: float) -> dict[str, Any]:
        """Run pairs of requests for about `seconds`; return what they took, in microseconds."""
        gc.collect()
        gc.disable()
        try:
            with ExitStack() as stack:
                client, page, before = self._scene(scenario, stack)
                for _ in range(3):
                    before()
                    client.get(page)
                if scenario == "mix" and self.has_sessions:
                    found = self._mix(client)
                else:
                    found = self._pairs(client, page, before, seconds)
                assert client.status == 200, f"{scenario}: status {client.status}"
                self._keep(client, scenario)
                return found
        finally:
            gc.enable()

    def _pairs(
        self, client: Any, page: str, before: Callable[[], object], seconds: float
    ) -> dict[str, Any]:
        pairs = Pairs(self.baseline)
        end = time.perf_counter() + seconds
        while len(pairs.base) < 8 or time.perf_counter() < end:
            before()
            pairs.take(client, page)
        return _answer(pairs.base, median(pairs.added))

    def _mix(self, client: Any) -> dict[str, Any]:
        """A hundred requests of one visitor, and another who logs in and out."""
        other = self._client(self.sessions)
        pairs = {kind: Pairs(self.baseline) for kind in WEIGHTS}
        turns = pairs["login/logout"]
        # One would say little of what a login takes; more count no more than their hundredth.
        for kind in [*random.sample(MIX, len(MIX)), *["login/logout"] * 7]:
            if kind == "login/logout":
                turns.take(other, "logout" if len(turns.added) % 2 else "login")
            else:
                pairs[kind].take(client, PAGES.get(kind, "read"))
        # A median of each kind: a mean over all would be that of the noise.
        middle = {kind: median(found.added) for kind, found in pairs.items()}
        middle["login/logout"] = mean((median(turns.added[::2]), median(turns.added[1::2])))
        added = sum(WEIGHTS[kind] * middle[kind] for kind in WEIGHTS) / 100
        return _answer([took for found in pairs.values() for took in found.base], added)

    def cost(self, scenario: str) -> dict[str, Any]:
        """Return the queries and the cookie's bytes of a request, the feed's polls left out."""
        from django.db import connection

        queries: list[str] = []

        def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            queries.append(sql)
            return execute(sql, params, many, context)

        with ExitStack() as stack:
            client, page, before = self._scene(scenario, stack)
            before()
            client.get(page)
            seen = []
            for _ in range(3):
                before()
                queries.clear()
                client.cookie_bytes = 0
                sent = client.cookies
                with connection.execute_wrapper(count):
                    client.get(page)
                asked = [sql for sql in queries if "jwtsession_revocation" not in sql]
                line = f"Cookie: {sent}\r\n" if sent else ""
                seen.append((len(asked), client.cookie_bytes, len(line)))
            self._keep(client, scenario)
        names = ("queries", "set_cookie", "cookie")
        return dict(zip(names, map(median, zip(*seen, strict=True)), strict=True))

    # --- scenarios -------------------------------------------------------------------------------

    def _scene(self, scenario: str, stack: ExitStack) -> tuple[Any, str, Callable[[], object]]:
        """Return the visitor, the page that is asked, and what happens unmeasured before that."""
        client = self._client(self.with_user if scenario == "user" else self.sessions, self._jar)
        if not self.has_sessions:
            return client, "plain", _nothing
        before: Callable[[], object] = _nothing
        if scenario == "anonymous":
            client.cookie = client.proof = None
            client.follows = False
        elif scenario == "forged":
            client.cookie, client.follows = self._forge(client.cookie), False
        elif scenario == "first read" and self.engine.ours:
            before = _forget_tokens
        elif scenario == "write by POST":  # of which `hybrid` reads the row at once
            client.method = "POST"
        elif scenario == "refresh":
            before = self._make_due(client, stack)
        elif scenario in LOGINS:
            client.cookie = client.proof = None
            before = self._other_way(client, scenario)
            if scenario == "login":
                stack.callback(before)
        return client, PAGES.get(scenario, "read"), before

    def _keep(self, client: Any, scenario: str) -> None:
        if self.has_sessions and client.follows and scenario not in LOGINS:
            self._jar = client.jar

    @staticmethod
    def _other_way(client: Any, scenario: str) -> Callable[[], object]:
        """Log out before each login and in before each logout: sessions do not pile up."""

        def before() -> None:
            if scenario == "login" and client.cookie:
                client.get("logout")
                client.cookie = None
            elif scenario == "logout":
                client.get("login")

        return before

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
        # The feed asks nothing meanwhile: lines that have expired would be living ones, and lost.
        feed = "django_jwtsession.revocation.feed.Feed.refresh"
        with mock.patch("time.time", return_value=past), mock.patch(feed):
            client.cookie, client.proof = self._log_in()
        if stateless:
            return _nothing
        from django_jwtsession.conf import get_config
        from django_jwtsession.models import Session
        from django_jwtsession.tokens.sid import uuid_from_sid

        claims = get_config().codec.read(client.cookie, time.time())
        row = Session.objects.filter(pk=uuid_from_sid(claims.sid))
        return lambda: row.update(expires_at=timezone.now() + timedelta(seconds=0.4 * age))


def _nothing() -> None:
    pass


def _forget_tokens() -> None:
    """Let the next request bring a token that this process has never read."""
    from django_jwtsession.conf import get_config

    get_config().codec._recent.forget()


def _answer(base: list[int], added: float) -> dict[str, Any]:
    middle = median(base)
    return {"base": middle / 1e3, "engine": (middle + added) / 1e3, "n": len(base)}


def keep_to_one_processor() -> None:
    """Hand-overs between threads then take what they must, not what the scheduler makes of them."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def questions() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def main() -> None:
    import logging

    logging.getLogger("django.request").setLevel(logging.CRITICAL)
    keep_to_one_processor()
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
