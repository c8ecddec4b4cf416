"""The operations that benchmarks.scale measures: as sites do them, on rows nobody has touched."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.utils import timezone

from benchmarks.bulk import session_id, token_of
from django_jwtsession.backends.db import SessionStore
from django_jwtsession.models import Revocation, Session
from django_jwtsession.models import clearing as cleanup
from django_jwtsession.models.place import current_place
from django_jwtsession.revocation import ending as revocation
from django_jwtsession.revocation.feed import Feed, get_feed
from django_jwtsession.tokens.sid import sid_from_uuid

SESSIONS = "/admin/django_jwtsession/session/"
HISTORY = "/admin/django_jwtsession/sessionevent/"
PASSWORD = "a long enough password"
# Each list, and what makes it hard; values that no row has are the hardest.
QUERIES = {
    "": "",
    "page 80": "p=80",
    "one browser": "browser=Chrome",
    "a rare browser": "browser=Edge",
    "a browser nobody has": "browser=Opera",
    "a system nobody has": "os=ChromeOS",
    "a device nobody has": "device=tablet",
    "staff": "user_is=staff",
    "not staff": "user_is=other",
    "search: user": "q=user777",
    "search: id": "q={sid}",
    "search: address": "q=10.1.0.1",
}
OF_SESSIONS = {"seen in an hour": "seen=1", "seen in a week": "seen=168"}
OF_SESSIONS |= {"not signed in": "user_is=nobody"}
OF_HISTORY = {"in an hour": "when=1", "in a week": "when=168", "logins": "kind__exact=login"}
OF_HISTORY |= {"a rare kind": "kind__exact=token_reuse"}


class World:
    """A database of `rows` sessions, and visitors of its own."""

    def __init__(self, rows: int) -> None:
        self._random = Random(rows)
        # From the last of the living on, each once.
        self._numbers = iter(self._random.sample(range(rows // 5, rows), min(rows // 2, 50_000)))
        users = get_user_model()._default_manager
        self._first_user = users.get(username="user1").pk
        self._users = max(rows // 5, 100)
        values = {"password": make_password(PASSWORD), "is_staff": True, "is_superuser": True}
        users.update_or_create(username="root", defaults=values)
        users.filter(username="user2").update(password=values["password"])
        self._staff, self._visitor = self._logged_in("root"), self._logged_in("user2")
        self._poll = self._polling_feed()
        _read_lately(get_feed())  # else it reads a table that is measured apart
        self._all = dict(self._everything())

    def operations(self, only: str) -> list[str]:
        return [name for name in self._all if only in name]

    def prepare(self, name: str) -> Callable[[], Any]:
        """Return the operation, ready to be measured."""
        operation: Callable[[], Any] = self._all[name]()
        return operation

    def _everything(self) -> Iterator[tuple[str, Callable[[], Callable[[], Any]]]]:
        yield "read", lambda: self._store().load
        yield "write", self._write
        yield "touch", self._touch
        yield "login", lambda: partial(self._logged_in, "user2")
        yield "logout", lambda: partial(self._logged_in("user2").post, "/logout/")
        for name, path in (("user's sessions", "/sessions/"), ("history", "/sessions/history/")):
            yield f"page: {name}", lambda path=path: partial(self._get, self._visitor, path)
        yield "end one", lambda: partial(revocation.revoke_session, self._sid())
        yield "end a user's", lambda: partial(revocation.revoke_user_sessions, self._user())
        yield "clear 20 expired", self._clear
        yield "feed: poll", lambda: lambda: self._poll._read(time.monotonic())
        yield "feed: long look", self._long_look
        for title, path, more in (
            ("sessions", SESSIONS, OF_SESSIONS),
            ("history", HISTORY, OF_HISTORY),
        ):
            for name, query in (QUERIES | more).items():
                yield f"admin {title}, {name}", partial(self._page, f"{path}?{query}")
        yield "admin: one session", lambda: partial(self._get, self._staff, self._url("change"))
        yield "admin: end one?", lambda: partial(self._get, self._staff, self._url("delete"))

    def _page(self, url: str) -> Callable[[], Any]:
        return partial(self._get, self._staff, url.format(sid=self._sid()))

    def _get(self, client: Client, url: str) -> None:
        # Elsewhere than wanted: where a session of the bulk has just expired.
        assert client.get(url).status_code in {200, 302}, url

    def _url(self, page: str) -> str:
        return f"{SESSIONS}{session_id(next(self._numbers))}/{page}/"

    def _sid(self) -> str:
        return sid_from_uuid(session_id(next(self._numbers)))

    def _user(self) -> int:
        return self._first_user + self._random.randrange(10, self._users)

    def _store(self) -> SessionStore:
        return SessionStore(token_of(session_id(next(self._numbers))))

    def _write(self) -> Callable[[], Any]:
        session = self._store()
        session["cart"] = [self._random.randrange(10_000) for _ in range(5)]
        return session.save

    def _touch(self) -> Callable[[], Any]:
        session = self._store()
        while session.sid is None:  # an earlier run has ended it
            session = self._store()
        return session.touch

    def _clear(self) -> Callable[[], Any]:
        rows = Session.objects.filter(pk__in=[session_id(next(self._numbers)) for _ in range(20)])
        rows.update(expires_at=timezone.now() - timedelta(days=365))
        table = cleanup.expiring(SessionStore)[0]
        return partial(cleanup.clear_batch, table, 20)

    def _logged_in(self, name: str) -> Client:
        client = Client()
        response = client.post("/login/", {"username": name, "password": PASSWORD})
        assert response.status_code == 302, "the login was refused"
        return client

    def _polling_feed(self) -> Feed:
        """Return a feed that has read everything a moment ago."""
        found = Feed(current_place())
        _read_lately(found)
        return found

    def _long_look(self) -> Callable[[], Any]:
        # The feed finds that it knows fewer lines than there are, each time.
        logging.getLogger("django_jwtsession").setLevel(logging.ERROR)
        found = self._polling_feed()
        found._learning.next_long_look = float("-inf")
        return partial(found._read, time.monotonic())


def _read_lately(feed: Feed) -> None:
    """Let a feed believe that it has read everything an hour ago."""
    newest = Revocation._default_manager.order_by("-pk").values_list("pk", flat=True).first()
    learning, now = feed._learning, time.monotonic()
    learning._marks.note(now - 3600, newest or 0)
    learning.complete = learning.settled = True
    learning.next_long_look = now + 86400
