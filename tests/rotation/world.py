"""A small world around the real engine and middleware: processes, a browser, a thief, a clock.

Time moves only where a test says so. A request is a Flight in three steps (begin, read, end) with
anything in between; its answer reaches the jar by `deliver`. The checks stand where things happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import time_machine
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, login
from django.contrib.auth.models import User
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from django_jwtsession.backends import copies, rows
from django_jwtsession.backends.opening import FRESH_FOR
from django_jwtsession.backends.process import Written
from django_jwtsession.backends.rotation import EPOCH_LAG
from django_jwtsession.conf import get_config
from django_jwtsession.exceptions import BadToken
from django_jwtsession.middleware import SessionMiddleware
from django_jwtsession.models import Session, SessionEvent
from django_jwtsession.signals import token_reused
from django_jwtsession.tokens.claims import Claims

from ..conftest import NOW
from .conftest import GRACE, HOUR, forget

SKEW: Final = 10.0  # seconds between the clocks of two processes, at most
LAG: Final = 5.0  # seconds an answer is on its way, at most
LONGEST: Final = 120.0  # seconds a request runs, at most
GONE: Final = object()
AUTH: Final = {SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY}


@dataclass(eq=False)
class Process:
    """What a process keeps between requests; `offset` (seconds) is how wrong its clock is."""

    offset: float = 0.0
    written: Written = field(default_factory=Written)


@dataclass(eq=False)
class Holder:
    """Who holds a cookie: the browser, or a thief with a copy."""

    name: str
    address: str
    jar: str | None = None


@dataclass(eq=False)
class Flight:
    """A request under way; `value` None deletes the key, no key at all only reads.

    `proof` is how its view lets the user prove who they are: "" (it does not), "prove" or "login".
    """

    holder: Holder
    process: Process
    request: HttpRequest
    cookie: str | None
    began: float
    key: str | None = None
    value: Any = None
    refresh: bool = False
    asks: bool = False
    proof: str = ""
    seen: dict[str, Any] | None = None
    read_at: float = 0.0


class World:
    """One session, whoever holds its cookie, and what must be true of it."""

    def __init__(self) -> None:
        forget()
        for model in (Session, SessionEvent, User):
            model._base_manager.all().delete()
        self.user = User.objects.create_user("ada")
        self._travel = time_machine.travel(NOW, tick=False)
        self._clock = self._travel.start()
        self.now = float(NOW)  # the true time; that of a process is its offset away
        self.processes = [Process() for _ in range(3)]
        self.browser = Holder("browser", "192.0.2.1")
        self.flights: list[Flight] = []
        self.answers: list[tuple[float, Holder, str | None]] = []
        self.data: dict[str, tuple[Any, Process, float]] = {}
        # Of the epoch that goes on: its number, and when each of its generations began.
        self.epoch = 0
        self.confirmed: dict[int, float] = {}
        self.signals = 0
        self.thief_came = self.ended = self._colliding = False
        self._before_statement: tuple[int, Callable[[], None]] | None = None
        self._real = rows.fetch, rows.update, rows.update_where
        rows.fetch, rows.update, rows.update_where = map(self._interrupted, self._real)  # type: ignore[assignment]
        token_reused.connect(self._count)
        self.middleware = SessionMiddleware(lambda _: HttpResponse())
        self._log_in()

    def close(self) -> None:
        token_reused.disconnect(self._count)
        rows.fetch, rows.update, rows.update_where = self._real
        self._travel.stop()
        forget()

    def _count(self, **kwargs: Any) -> None:
        self.signals += 1

    def _interrupted(self, statement: Callable[..., Any]) -> Callable[..., Any]:
        """Return `statement`, before which another request may come to its end."""

        def execute(*args: Any, **kwargs: Any) -> Any:
            if self._before_statement is not None:
                count, other = self._before_statement
                self._before_statement = (count - 1, other) if count else None
                if not count:
                    other()
            return statement(*args, **kwargs)

        return execute

    # --- time and processes ----------------------------------------------------------------------

    @contextmanager
    def on(self, process: Process) -> Iterator[float]:
        """Be that process, by its clock; give its time."""
        outer, copies.written = copies.written, process.written
        self._clock.move_to(self.now + process.offset)
        try:
            yield self.now + process.offset
        finally:
            copies.written = outer
            self._clock.move_to(self.now)

    def pass_time(self, seconds: float) -> None:
        """Move the clock; what cannot last so long comes to its end on the way."""
        target = self.now + seconds
        while True:
            due = [(flight.began + LONGEST, 0, i) for i, flight in enumerate(self.flights)]
            due += [(sent + LAG, 1, i) for i, (sent, *_) in enumerate(self.answers)]
            at, kind, i = min(due, default=(target + 1, 0, 0))
            if at > target:
                break
            self.now = max(self.now, at)
            if kind:
                self.deliver(i)
            else:
                self.end(self.flights[i])
        self.now = target

    # --- requests --------------------------------------------------------------------------------

    def _log_in(self) -> None:
        flight = self.begin(self.browser, self.processes[0], "POST")
        flight.proof, flight.seen = "login", {}
        self.end(flight)
        self.deliver(len(self.answers) - 1)

    def begin(
        self, holder: Holder, process: Process, method: str = "GET", prefetch: bool = False
    ) -> Flight:
        headers = {"HTTP_SEC_PURPOSE": "prefetch"} if prefetch else {}
        headers |= {"CONTENT_LENGTH": "0"} if method == "POST" else {}
        device = {"REMOTE_ADDR": holder.address, "HTTP_USER_AGENT": holder.name}
        request = RequestFactory().generic(method, "/", **device, **headers)  # type: ignore[arg-type]
        if holder.jar is not None:
            request.COOKIES["sessionid"] = holder.jar
        with self.on(process):
            self.middleware.process_request(request)
        flight = Flight(holder, process, request, holder.jar, self.now)
        self.flights.append(flight)
        return flight

    def read(self, flight: Flight) -> None:
        """Let the view read the session, once, and check what it finds."""
        if flight.seen is not None:
            return
        row, stale = self.row(), self._is_stale(flight)
        suspect = self._is_stale(flight, margin=-2 * SKEW)
        passed = self.is_passed(flight.cookie)
        with self.on(flight.process) as now:
            alive = row is not None and row.expires_at.timestamp() > now
            flight.seen, flight.read_at = dict(flight.request.session.items()), self.now
        logged_in = SESSION_KEY in flight.seen
        passed = passed or self.is_passed(flight.cookie)  # by a proof that came in between
        if passed and alive:
            self._check_passed(flight, logged_in)
            return
        assert not (stale and not self.thief_came), "the honest browser holds an old copy"
        assert not (stale and logged_in), "an old copy opens the session"
        if logged_in:
            assert alive, "an ended session opens"
            self._check_seen(flight)
        elif alive:
            assert suspect, "refused for no reason"
            assert self.thief_came, "the honest browser is logged out"
            self._check_found(flight)

    def end(self, flight: Flight, status: int = 200, lost: bool = False) -> None:
        """Let the view write what it came for, and send its answer on its way."""
        self.read(flight)
        assert flight.seen is not None
        self.flights.remove(flight)
        response, session = HttpResponse(status=status), flight.request.session
        writes = proved = False
        with self.on(flight.process):
            try:
                if flight.refresh:
                    session.refresh()
                proved = self._prove(flight)
                if flight.asks:
                    session.revalidate()
                writes = flight.key is not None and SESSION_KEY in session
                if writes and flight.value is None:
                    writes = session.pop(flight.key, GONE) is not GONE
                elif writes:
                    session[flight.key] = flight.value
                response = self.middleware.process_response(flight.request, response)
            except SessionInterrupted:
                response = HttpResponse(status=400)
                assert self.row() is None, "a write to a living session is refused"
        self._note_rotation()
        if writes and response.status_code == 200:
            self._note_write(flight)
        morsel = response.cookies.get("sessionid")
        if proved and response.status_code == 200 and not self._colliding:
            assert morsel is not None, "a proof gets no cookie"
            assert not self.is_passed(morsel.value), "a proof gets a cookie of before"
        if morsel is not None:
            jar = None if morsel["max-age"] == 0 else morsel.value
            if not self._colliding and self.now - flight.read_at > FRESH_FOR:
                self._check_sent(jar)
            if not lost:
                self.answers.append((self.now, flight.holder, jar))

    def _note_write(self, flight: Flight) -> None:
        """Note a value that was stored: none that a page has made from an old copy is."""
        assert flight.key is not None
        value = GONE if flight.value is None else flight.value
        row = self.row()  # of a later epoch, the request does not show what it was merged into
        stored = GONE if row is None else row.get_decoded().get(flight.key, GONE)
        if stored == value:
            self.data[flight.key] = value, flight.process, self.now
            return
        assert flight.request.method == "GET", "a write is lost"
        theirs, _, at = self.data[flight.key]
        window = get_config().revalidate_after + 2 * SKEW
        assert stored == theirs, "a write is lost"
        assert at > flight.read_at - window, "a write is lost that was made from no old copy"

    def _prove(self, flight: Flight) -> bool:
        """Let the user prove who they are, as far as there is somebody; tell whether they did."""
        session, row = flight.request.session, self.row()
        if not flight.proof or (row is None and self.epoch):  # it has ended: another's story
            return False
        if flight.proof == "login":
            login(flight.request, self.user)
        elif SESSION_KEY in session:
            session.prove()
        else:
            return False
        after = self.row()
        assert after is not None
        if row is not None:
            assert after.pk == row.pk, "the session has another name after a proof"
            assert after.epoch > row.epoch, "a proof begins no epoch"
        return True

    def sign_in(self) -> None:
        """Let the browser log in, where it holds the cookie of an epoch that has passed."""
        if self.row() is not None and self.is_passed(self.browser.jar):
            self._log_in()

    def ask(self, flight: Flight) -> None:
        """Let a stream read the row behind its session again."""
        row = self.row()
        with self.on(flight.process) as now:
            alive = row is not None and row.expires_at.timestamp() > now
            session = flight.request.session
            session.revalidate()
            passed = self.is_passed(flight.cookie)
            assert (SESSION_KEY in session) is alive or passed or self.thief_came, "is cut off"
            if passed or not alive:
                assert session.is_over(), "a stream goes on after its end"

    def collide(self, outer: Flight, inner: Flight, statements: int) -> None:
        """End `outer`; before its statement number `statements`, `inner` comes to its end."""
        self._before_statement = statements, lambda: self.end(inner)
        self._colliding = True
        self.end(outer)
        self._colliding = False
        if self._before_statement is not None:  # it executed fewer
            self._before_statement = None
            self.end(inner)

    def deliver(self, number: int) -> None:
        _, holder, holder.jar = self.answers.pop(number)

    # --- what must be true -----------------------------------------------------------------------

    def row(self) -> Session | None:
        return Session.objects.first()

    def claims(self, cookie: str | None) -> Claims | None:
        """Return what a cookie says, None for no session."""
        try:
            return get_config().codec.read(cookie or "", self.now)
        except BadToken:
            return None

    def is_passed(self, cookie: str | None) -> bool:
        """Tell whether the epoch of a cookie has passed."""
        claims, row = self.claims(cookie), self.row()
        return claims is not None and row is not None and claims.ep < row.epoch

    def _is_stale(self, flight: Flight, margin: float = 2 * SKEW) -> bool:
        """Tell whether the cookie sat out a rotation of its epoch and the grace after it."""
        claims, row = self.claims(flight.cookie), self.row()
        if claims is None or row is None or claims.ep != row.epoch:
            return False
        generation = claims.gen or 0
        if generation >= row.generation:
            return False
        replaced_at = self.confirmed[generation + 1]
        late = self.now > (claims.rv or 0.0) + margin
        return late and flight.began > replaced_at + GRACE + margin

    def _check_passed(self, flight: Flight, logged_in: bool) -> None:
        """A cookie of before a proof opens nothing, but for reading in the first moment."""
        row, age = self.row(), flight.began - self.confirmed[0]
        assert row is not None, "a cookie of an earlier epoch ends the session"
        if logged_in:
            assert flight.request.method == "GET", "who writes is let in with last epoch's cookie"
            if row.epoch == self.epoch:  # else it begins at this very moment
                assert abs(age) <= EPOCH_LAG + 2 * SKEW, "last epoch's cookie opens the session"
            assert flight.request.session.proved_at is None, "it passes for the proof"

    def _check_seen(self, flight: Flight) -> None:
        """A process sees what it wrote; the others see it when the window is over."""
        assert flight.seen is not None
        for key, (value, process, at) in self.data.items():
            age = self.now - at
            window = get_config().revalidate_after
            if age > window + 2 * SKEW or (process is flight.process and age < window - 2 * SKEW):
                found = flight.seen.get(key, GONE)
                assert found == value, f"an old value is shown: {key}={found}, not {value}, {age} s"

    def _check_found(self, flight: Flight) -> None:
        event = self._alarms().get()
        login = self.browser
        assert (event.ip_address, event.user_agent) == (flight.holder.address, flight.holder.name)
        assert event.detail == {"ip_address": login.address, "user_agent": login.name}
        assert self.row() is None
        self.ended = True

    def _check_sent(self, cookie: str | None) -> None:
        """What goes out is what the row says, whatever the request knew when it began."""
        claims, row = self.claims(cookie), self.row()
        if claims is not None and row is not None:
            assert claims.ep == row.epoch, "last epoch's cookie goes out"
            if claims.gen is None:  # of the engine `db`
                return
            assert claims.gen == row.generation + (row.next_issued_at is not None), "not the row's"

    def _note_rotation(self) -> None:
        """Epochs only go up; generations come one by one in each, an hour apart."""
        row = self.row()
        if row is None:
            return
        assert row.epoch >= self.epoch, "an epoch comes back"
        if row.epoch > self.epoch:
            self.epoch, self.confirmed = row.epoch, {}
        last = max(self.confirmed, default=0)
        assert row.generation in (last, last + 1), "a generation is left out, or comes back"
        self.confirmed.setdefault(row.generation, self.now)
        if row.next_issued_at is not None:
            pending_at = row.next_issued_at.timestamp()
            assert pending_at - self.confirmed[row.generation] >= HOUR - SKEW, "rotated too soon"

    def check(self) -> None:
        """What holds after each step."""
        row = self.row()
        assert self.ended is (row is None), "the row is gone for no reason"
        assert self._alarms().count() == self.signals == int(self.ended)
        assert Session.objects.count() <= 1, "there is a second session"
        if row is not None:
            stored = {k: v for k, v in row.get_decoded().items() if k not in AUTH}
            written = {k: value for k, (value, *_) in self.data.items() if value is not GONE}
            assert stored == written, "a write is lost"

    @staticmethod
    def _alarms() -> Any:
        return SessionEvent.objects.filter(kind=SessionEvent.Kind.TOKEN_REUSE)

    def until_rotation(self) -> float:
        """Return the seconds until the next rotation is due, by the true clock."""
        return self.confirmed[max(self.confirmed)] + HOUR - self.now
