"""Visitors who read, write, log in and out, and are ended, on all applications at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from tests.services.client import Answer, Jar

from .record import NO_ANSWER, End, Issue, Record, Seen, Write

_NOBODY_ANSWERS = Answer(NO_ANSWER, {}, None)
_TRIED_EVERY = 0.3  # seconds between two tries of an ended session's copies
_REST = 0.05


class Visitors:
    """`with Visitors(servers, record, seed):` visits all the time, with chances by a seed."""

    def __init__(
        self,
        servers: list[Any],
        record: Record,
        seed: int,
        count: int = 8,
        only_log_out: bool = False,
        slow_ends: float = 0.2,
        tabs: int = 3,
        tried_for: float = 2.6,
    ) -> None:
        self._servers, self._record = servers, record
        self._only_log_out, self._slow_ends, self._at_once = only_log_out, slow_ends, tabs
        self._tried_for = tried_for  # seconds, of an ended session's copies
        self.down: set[int] = set()  # applications that get no logins
        self._stop = threading.Event()
        self.broken: list[BaseException] = []
        self.last: dict[str, Jar] = {}
        self._threads = [
            threading.Thread(target=self._live, args=(random.Random(f"{seed}-{number}"),))
            for number in range(count)
        ]
        self._tabs = ThreadPoolExecutor((tabs + 1) * count)

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        self._tabs.shutdown()

    def _live(self, chance: random.Random) -> None:
        try:
            while not self._stop.is_set():
                self._one_session(chance)
        except BaseException as error:
            self.broken.append(error)
            raise

    def _one_session(self, chance: random.Random) -> None:
        app = chance.choice([n for n in range(len(self._servers)) if n not in self.down])
        made = self._ask(lambda: self._servers[app].get("new_user", name=uuid4().hex))
        if made.status != 200:
            return self._rest()
        user, jar, began = str(made.user), Jar(), time.monotonic()
        answer = self._ask(lambda: jar.get(self._servers[app], "log_in", user=user))
        if answer.status != 200:
            now = time.monotonic()
            self._record.note(Seen("a login", app, began, now, answer.status, None, {}))
            return self._rest()
        first = self._ask(lambda: self._servers[app].get("session", jar.cookie))
        if first.status != 200:
            return self._rest()
        sid = str(first.json["sid"])
        self._record.note(Issue(sid, user, time.monotonic()))
        self.last[sid] = jar
        for _ in range(chance.randrange(15, 40)):
            if self._stop.is_set():
                return None
            self._visit(chance, sid, jar)
            self._rest()
        del self.last[sid]
        return self._end(chance, sid, jar)

    def _visit(self, chance: random.Random, sid: str, jar: Jar) -> None:
        what = chance.random()
        if what < 0.55:
            self.look(chance.randrange(len(self._servers)), sid, jar)
        elif what < 0.65:
            self.look(chance.randrange(len(self._servers)), sid, jar, is_true=True)
        else:  # several tabs write different keys at once
            apps = [
                chance.randrange(len(self._servers))
                for _ in range(chance.randint(1, self._at_once))
            ]
            list(self._tabs.map(lambda app: self._write(app, sid, jar), apps))

    def look(self, app: int, sid: str, jar: Jar, is_true: bool = False) -> Seen:
        """Visit the page that says what it sees."""
        sent_at, more = time.monotonic(), {"revalidate": 1} if is_true else {}
        answer = self._ask(lambda: jar.get(self._servers[app], "session", **more))
        user, data = answer.json.get("user"), answer.json.get("data", {})
        seen = Seen(sid, app, sent_at, time.monotonic(), answer.status, user, data, is_true)
        self._record.note(seen)
        return seen

    def _write(self, app: int, sid: str, jar: Jar) -> None:
        key = f"k{uuid4().hex[:8]}"
        value, sent_at = f"{sid}{key[-2:]}", time.monotonic()
        answer = self._ask(lambda: jar.post(self._servers[app], "put", b"", **{key: value}))
        self._record.note(Write(sid, key, value, app, sent_at, time.monotonic(), answer.status))

    def _end(self, chance: random.Random, sid: str, jar: Jar) -> None:
        app, copy, sent_at = chance.randrange(len(self._servers)), jar.copy(), time.monotonic()
        server, how = self._servers[app], chance.random()
        if how < self._slow_ends and not self._only_log_out:
            # Others' ends are seen before this one commits.
            answer = self._ask(lambda: server.get("end_slowly", sid=sid, seconds=1.5))
        elif how < (1 + self._slow_ends) / 2 and not self._only_log_out:
            answer = self._ask(lambda: server.get("end_session", sid=sid))
        else:
            answer = self._ask(lambda: jar.get(server, "log_out"))
        self._record.note(End(sid, app, sent_at, time.monotonic(), answer.status))
        end = time.monotonic() + self._tried_for
        while time.monotonic() < end and not self._stop.is_set():
            tries = range(len(self._servers))
            list(self._tabs.map(lambda app: self.look(app, sid, copy.copy()), tries))
            time.sleep(_TRIED_EVERY)

    def _ask(self, visit: Callable[[], Answer]) -> Answer:
        try:
            return visit()
        except OSError:
            return _NOBODY_ANSWERS

    def _rest(self) -> None:
        time.sleep(_REST)

    def look_at_all(self) -> None:
        """Read the truth of all sessions that go on, on every application."""
        for sid, jar in list(self.last.items()):
            for app in range(len(self._servers)):
                self.look(app, sid, jar, is_true=True)
