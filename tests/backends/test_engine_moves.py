"""Random walks among the three engines: nothing brings an ended session back, nobody is accused.

One honest browser logs in, proves who it is, writes, logs out; the site changes its engine and its
keys between any two requests. Whatever cookie or key was good before an end or a proof, and is
kept, is tried again and again. ``MOVES_EXAMPLES=2000 pytest tests/backends/test_engine_moves.py``
looks deeper, with ``MOVES_SHRINK=1`` what it finds becomes small.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import override_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from django_jwtsession.models import Revocation, Session, SessionEvent

from ..conftest import ENGINES, NOW
from ..helpers.process import another_process, new_process
from ..helpers.visitor import Visitor

EXAMPLES = int(os.environ.get("MOVES_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    database=None,
    # Shrinking takes minutes: where somebody asks for it.
    phases=[Phase.generate, *([Phase.shrink] if os.environ.get("MOVES_SHRINK") else [])],
    suppress_health_check=list(HealthCheck),
)
engines = st.sampled_from(sorted(ENGINES))
any_number = st.integers(0, 99)
# Seconds; past the copy, the grace, a rotation, half of the idle time.
pauses = st.sampled_from([0.2, 2, 6, 61, 301, 3601, 7300, 86400, 2 * 86400])
OVER = 6  # seconds into an epoch, when an older token is nobody's


class Moves(RuleBasedStateMachine):
    """A site that moves, and the one honest browser of its user."""

    def __init__(self) -> None:
        super().__init__()
        new_process()
        for model in (Session, SessionEvent, Revocation, User):
            model._base_manager.all().delete()
        self.user = User.objects.create_user("ada")
        self.travel = time_machine.travel(NOW, tick=False)
        self.clock: Any = self.travel.start()
        self.keys = ["key number 0 of thirty-two characters, at least"]
        self.browser = Visitor()
        self.logged_in = False
        # What the browser had and has no more: cookies and keys, and since when.
        self.current: list[str] = []
        self.dead: list[str] = []
        self.numbers = 0

    @initialize(engine=engines)
    def set_up(self, engine: str) -> None:
        self.engine = engine
        self.configure()

    def configure(self) -> None:
        self.done()
        self.override = override_settings(
            SESSION_ENGINE=ENGINES[self.engine],
            JWTSESSION={"KEYS": self.keys},
            ROOT_URLCONF="tests.urls_engines",
        )
        self.override.enable()

    def done(self) -> None:
        if hasattr(self, "override"):
            self.override.disable()
            del self.override

    def teardown(self) -> None:
        self.done()
        self.travel.stop()
        new_process()

    # --- the site --------------------------------------------------------------------------------

    @rule(engine=engines)
    def move(self, engine: str) -> None:
        """Change the engine; a visit follows, as tokens of `db` hold nothing for `cookie`."""
        self.engine = engine
        self.configure()

    @rule()
    def add_key(self) -> None:
        """A new secret issues, those before it still open."""
        self.numbers += 1
        self.keys = [f"key number {self.numbers} of thirty-two characters, at least", *self.keys]
        self.configure()
        self.visit()

    @rule()
    def drop_fallbacks(self) -> None:
        """Once whoever comes by has written: that seals a row under the newest."""
        self.write("post")
        self.keys = self.keys[:1]
        self.configure()
        self.visit()

    @rule(seconds=pauses)
    def pass_time(self, seconds: float) -> None:
        self.visit()
        self.clock.shift(seconds)
        another_process()
        self.visit()

    # --- the honest browser ----------------------------------------------------------------------

    def keep(self) -> None:
        """Remember the cookie that the browser holds now."""
        if self.browser.cookie and self.browser.cookie not in self.current:
            self.current.append(self.browser.cookie)

    def end(self) -> None:
        """What was good until now is so no longer."""
        self.dead += self.current
        self.current = []

    @rule()
    def visit(self) -> None:
        assert self.browser.who() == ("ada" if self.logged_in else "")
        self.keep()

    @rule(method=st.sampled_from(["get", "post"]))
    def write(self, method: str) -> None:
        self.browser.put(method, x=1)
        assert self.browser.status == 200
        self.keep()
        self.visit()

    @precondition(lambda self: not self.logged_in)
    @rule()
    def log_in(self) -> None:
        self.end()
        self.browser.login(self.user)
        self.logged_in = True
        self.keep()
        self.clock.shift(OVER)
        self.visit()

    @precondition(lambda self: self.logged_in)
    @rule()
    def prove(self) -> None:
        self.end()
        self.browser.login(self.user)
        self.keep()
        self.clock.shift(OVER)
        self.visit()

    @precondition(lambda self: self.logged_in)
    @rule()
    def log_out(self) -> None:
        self.end()
        self.browser.logout()
        self.logged_in = False
        self.clock.shift(OVER)
        self.visit()

    @precondition(lambda self: self.logged_in and self.engine != "cookie")
    @rule()
    def store_the_key(self) -> None:
        """As a cart does; `cookie` has tokens for keys, and those are kept anyway."""
        self.current.append(self.browser.key())
        self.keep()

    # --- who has kept something ------------------------------------------------------------------

    def try_again(self, number: int, act: Any) -> None:
        visitor = Visitor(cookie=self.dead[number % len(self.dead)])
        act(visitor)
        assert visitor.who() == "", "a session that has ended is back"
        self.visit()

    @precondition(lambda self: self.dead)
    @rule(number=any_number)
    def read_with_it(self, number: int) -> None:
        self.try_again(number, Visitor.data)

    @precondition(lambda self: self.dead)
    @rule(number=any_number)
    def write_with_it(self, number: int) -> None:
        self.try_again(number, lambda visitor: visitor.put(planted=1))
        assert "planted" not in self.browser.data()

    @precondition(lambda self: self.dead)
    @rule(number=any_number)
    def open_the_key(self, number: int) -> None:
        store = import_module(ENGINES[self.engine]).SessionStore
        found = store(self.dead[number % len(self.dead)])
        assert "_auth_user_id" not in found
        self.visit()

    # --- what must be true -----------------------------------------------------------------------

    @invariant()
    def nobody_is_accused(self) -> None:
        assert not SessionEvent.objects.filter(kind="token_reuse").exists()


@pytest.mark.django_db
def test_no_path_among_the_engines_brings_a_session_back_or_accuses_anyone() -> None:
    run_state_machine_as_test(Moves, settings=SETTINGS)


@pytest.fixture
def site(db: None, settings: Any, clock: Any) -> Any:
    settings.ROOT_URLCONF = "tests.urls_engines"

    def be(name: str) -> None:
        another_process()
        settings.SESSION_ENGINE = ENGINES[name]

    return be


# The three paths on which this has happened, by hand.


@pytest.mark.requirement("RFC 8725 3.12")
def test_logged_out_hybrid_cookie_opens_nothing_with_the_cookie_engine(
    site: Any, user: User, clock: Any
) -> None:
    site("hybrid")
    browser = Visitor()
    browser.login(user)
    copy = browser.copy()
    browser.logout()
    clock.shift(7300)
    new_process()  # the feed keeps what a row ends for minutes, and has forgotten it
    site("cookie")
    assert copy.who() == ""


def test_old_cookie_of_the_cookie_engine_makes_no_new_row_after_a_proof_and_a_logout(
    site: Any, user: User, clock: Any
) -> None:
    site("cookie")
    browser = Visitor()
    browser.login(user)
    copy = browser.copy()
    site("hybrid")
    assert browser.who() == "ada"
    browser.login(user)
    clock.shift(60)
    browser.logout()
    clock.shift(86400)
    assert copy.who() == ""
    assert not Session.objects.exists()


def test_honest_browser_is_no_thief_after_hybrid_db_hybrid(
    site: Any, user: User, clock: Any
) -> None:
    site("hybrid")
    browser = Visitor()
    browser.login(user)
    for name in ("db", "hybrid", "db", "hybrid"):
        for _ in range(3):
            clock.shift(3700)
            assert browser.who() == "ada"
        site(name)
    assert browser.who() == "ada"
    assert not SessionEvent.objects.filter(kind="token_reuse").exists()


@pytest.mark.parametrize("old", ENGINES)
@pytest.mark.parametrize("new", ENGINES)
def test_user_stays_logged_in_from_one_engine_to_the_other(
    site: Any, user: User, clock: Any, old: str, new: str
) -> None:
    site(old)
    browser = Visitor()
    browser.put(basket="book")
    browser.login(user)
    sid = browser.sid()
    site(new)
    for _ in range(2):
        clock.shift(61)
        assert browser.who() == "ada"
        assert browser.data() == {"basket": "book"}
        assert browser.sid() == sid
    site(old)
    assert browser.who() == "ada"


@pytest.mark.parametrize("engine", ["db", "hybrid"])
@pytest.mark.parametrize("proves", [False, True])
def test_row_whose_key_is_gone_gives_way_to_the_cookie_that_holds_it_all(
    site: Any, user: User, clock: Any, settings: Any, engine: str, proves: bool
) -> None:
    """Back from the engine cookie, after a secret that was dropped in the meantime."""
    old, new = (f"a {name} secret of thirty-two characters at least" for name in ("old", "new"))
    settings.JWTSESSION = {"KEYS": [old]}
    site(engine)
    browser = Visitor()
    browser.put(basket="book")
    browser.login(user)
    before = browser.copy()
    site("cookie")
    settings.JWTSESSION = {"KEYS": [new, old]}
    browser.put(basket="books")
    if proves:
        browser.login(user)
    settings.JWTSESSION = {"KEYS": [new]}
    site(engine)
    clock.shift(6)
    for _ in range(2):
        assert browser.who() == "ada"
        assert browser.data() == {"basket": "books"}
        assert before.who() == ""
    assert not SessionEvent.objects.filter(kind="token_reuse").exists()


@pytest.mark.parametrize("engine", ["db", "hybrid"])
@pytest.mark.parametrize("had_row", [False, True])
def test_row_whose_key_is_yet_to_come_stays_as_a_newer_server_has_written_it(
    site: Any, user: User, clock: Any, settings: Any, engine: str, had_row: bool
) -> None:
    """Of two servers that have left the engine `cookie`, one has the new secret already."""
    old, new = (f"a {name} secret of thirty-two characters at least" for name in ("old", "new"))
    settings.JWTSESSION = {"KEYS": [old]}
    browser = Visitor()
    if had_row:
        site(engine)
        browser.login(user)
        clock.shift(60)
    site("cookie")
    browser.login(user)
    late = browser.copy()
    clock.shift(60)
    site(engine)
    settings.JWTSESSION = {"KEYS": [new, old]}
    browser.put(basket="book")
    settings.JWTSESSION = {"KEYS": [old]}
    another_process()
    assert late.who() == ""
    assert late.cookie
    settings.JWTSESSION = {"KEYS": [new, old]}
    another_process()
    assert browser.data() == {"basket": "book"}
    assert browser.who() == "ada"


@pytest.mark.parametrize("engine", ["db", "hybrid"])
def test_row_whose_key_is_gone_gives_way_to_no_cookie_of_an_epoch_before(
    site: Any, user: User, settings: Any, engine: str
) -> None:
    first, second = (f"the {name} secret of thirty-two characters" for name in ("first", "second"))
    settings.JWTSESSION = {"KEYS": [first]}
    site("cookie")
    browser = Visitor()
    browser.login(user)
    copy = browser.copy()
    settings.JWTSESSION = {"KEYS": [second, first]}
    site(engine)
    assert browser.who() == "ada"
    settings.JWTSESSION = {"KEYS": [first]}
    another_process()
    epoch = Session.objects.get().epoch
    Session.objects.update(epoch=epoch + 1)
    assert copy.who() == ""
    assert Session.objects.get().epoch == epoch + 1


@pytest.mark.parametrize("old", ENGINES)
@pytest.mark.parametrize("new", ENGINES)
def test_logout_on_one_engine_is_a_logout_on_the_other(
    site: Any, user: User, clock: Any, old: str, new: str
) -> None:
    """A rolling deploy, with the old engine on one server and the new one on the other."""
    site(old)
    browser = Visitor()
    browser.login(user)
    copy = browser.copy()
    site(new)
    assert browser.who() == "ada"
    second = browser.copy()
    site(old)
    browser.logout()
    clock.shift(6)
    for name in (new, old):
        site(name)
        assert copy.who() == ""
        assert second.who() == ""


@pytest.mark.django_db
@pytest.mark.parametrize("old", ["db", "hybrid"])
@pytest.mark.urls("tests.urls_engines")
def test_first_request_after_a_move_to_the_cookie_engine_may_be_the_logout(
    user: User, settings: Any, old: str
) -> None:
    settings.SESSION_ENGINE = ENGINES[old]
    browser = Visitor()
    browser.login(user)
    copy = browser.copy()
    settings.SESSION_ENGINE = ENGINES["cookie"]
    browser.logout()
    assert browser.cookie == ""
    for engine in ("cookie", old):
        settings.SESSION_ENGINE = ENGINES[engine]
        assert copy.who() == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("old", ["db", "hybrid"])
@pytest.mark.parametrize(
    "act", ["arevalidate", "arefresh", "acycle_key", "aprove", "arenew", "asave", "ais_over"]
)
@pytest.mark.urls("tests.urls_engines")
def test_whatever_an_async_view_does_first_may_ask_the_database(
    user: User, settings: Any, old: str, act: str
) -> None:
    settings.SESSION_ENGINE = ENGINES[old]
    browser = Visitor("async")
    browser.login(user)
    settings.SESSION_ENGINE = ENGINES["cookie"]

    async def view(request: Any) -> None:
        await getattr(request.session, act)()

    browser.send(lambda _: None, view, "get")
    assert browser.who() == "ada"
