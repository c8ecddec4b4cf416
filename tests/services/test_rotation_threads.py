"""Rotation with a browser's parallel requests on two server processes, and with copied cookies."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import KeyRing
from django_jwtsession.tokens.sid import uuid_from_sid
from tests.conftest import ENGINES
from tests.settings import SECRET_KEY

from .client import Answer, Jar, together
from .conftest import logged_in, make_user, needs_database_server
from .servers import Database, Site, serve, until

needs_database_server()

ROTATE_AFTER, GRACE, WINDOW = 1.0, 2.0, 1.0
SETTLE = 0.5  # 15 s in real life: answers on their way to the browser take less here
SETTINGS = {
    "ROTATE_AFTER": ROTATE_AFTER,
    "ROTATE_GRACE": GRACE,
    "REVALIDATE_AFTER": WINDOW,
    "REVOCATION_POLL": 0.2,
    "SETTLE": SETTLE,
}
CODEC = Codec(KeyRing([SECRET_KEY], "sessionid"))


@pytest.fixture(scope="module")
def site(site_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("rotation")
    with serve(site_database, folder, ENGINES["hybrid"], SETTINGS) as site:
        yield site


def generation(jar: Jar) -> int:
    # The servers' clocks are ahead by what tests have shifted them: some minutes.
    return CODEC.read(jar.cookie, time.time() + 3600).gen or 0


def reuses(site: Site, user: str) -> int:
    """Return in how many events the user's history speaks of a copy."""
    statement = (
        "SELECT count(*) FROM django_jwtsession_sessionevent"
        " WHERE kind = 'token_reuse' AND user_id = %s"
    )
    [(number,)] = site.database.sql(statement, int(user))
    return int(number)


def key_of(site: Site, sid: str) -> str:
    """Return a session's primary key as the database holds it."""
    pk = uuid_from_sid(sid)
    [(version,)] = site.database.sql("SELECT version()")
    native = site.database.scheme != "mysql" or "MariaDB" in version
    return str(pk) if native else pk.hex


def advance(site: Site, jar: Jar, generations: int) -> None:
    """Use the browser until it has a cookie of a later generation, and the row knows."""
    goal = generation(jar) + generations

    def there() -> bool:
        site.shift(SETTLE)
        assert jar.get(random.choice(site.servers), "session").user is not None
        return generation(jar) >= goal

    until(there, 10 * generations, 0)


def test_parallel_requests_exactly_at_a_rotation_log_nobody_out(site: Site) -> None:
    """Bursts of 16 with one cookie, whose answers come in any order, some of them never."""
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    began = generation(jar)
    for turn in range(6):
        site.shift(ROTATE_AFTER + 0.05)
        cookie = jar.cookie

        def visit(number: int, cookie: str = cookie, writer: int = turn) -> Answer:
            page = "put" if number == writer else "session"
            return site.servers[number % 2].get(page, cookie)

        answers = together(16, visit)
        assert {answer.status for answer in answers} == {200}, site.errors()
        assert {answer.json.get("user", user) for answer in answers} == {user}
        random.shuffle(answers)
        for answer in answers[turn % 3 * 7 :]:  # all, nine, two of them arrive
            jar.keep(answer)
    assert generation(jar) >= began + 2
    assert reuses(site, user) == 0


def test_browser_with_many_tabs_is_never_logged_out(site: Site) -> None:
    """Eight tabs over one jar during three rotations, in real time: slow, lost and late answers."""
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    goal, end = generation(jar) + 3, time.monotonic() + 40
    wrong: list[Answer] = []

    def tab(number: int) -> None:
        chance = random.Random(number)
        while generation(jar) < goal and time.monotonic() < end and not wrong:
            slow = chance.choice([0, 0, 0, 0.2, 0.7])
            answer = chance.choice(site.servers).get("session", jar.cookie, sleep=slow)
            if answer.status != 200 or answer.user != user:
                wrong.append(answer)
            time.sleep(chance.choice([0, 0.05, 0.3]))
            if chance.random() < 0.8:  # else the tab was closed before its answer came
                jar.keep(answer)

    together(8, tab)
    assert not wrong, site.errors()
    assert generation(jar) >= goal
    assert reuses(site, user) == 0
    assert jar.get(site.servers[0], "whoami").user == user


@pytest.mark.requirement("RFC 9700 4.14.2")
def test_copy_that_sat_out_rotations_ends_the_session_and_is_recorded(site: Site) -> None:
    here, there = site.servers
    user = make_user(site)
    jar = logged_in(here, user)
    stolen, other = jar.copy(), logged_in(here, user)
    advance(site, jar, 3)
    assert reuses(site, user) == 0
    assert there.get("session", stolen.cookie).user is None
    assert reuses(site, user) == 1
    until(lambda: jar.get(here, "session").user is None)  # the browser's own session as well
    # Only this one of the user's sessions, and only once in the history.
    assert other.get(here, "session").user == user
    assert there.get("session", stolen.cookie).user is None
    assert reuses(site, user) == 1


def test_many_uses_of_a_copy_at_once_are_one_event(site: Site) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    stolen = jar.copy()
    advance(site, jar, 3)
    answers = together(12, lambda number: site.servers[number % 2].get("session", stolen.cookie))
    assert {answer.user for answer in answers} == {None}
    assert reuses(site, user) == 1


def confirm_rotation(site: Site, jar: Jar) -> Jar:
    """Use the browser until the row has its next generation; return a copy of the last one."""
    here = site.servers[0]
    pk = key_of(site, jar.get(here, "session").json["sid"])
    first = generation(jar)
    last = jar.copy()

    def confirmed() -> bool:
        nonlocal last
        site.shift(SETTLE / 2)
        assert jar.get(here, "session").user is not None
        last = jar.copy() if generation(jar) == first else last
        statement = "SELECT generation FROM django_jwtsession_session WHERE id = %s"
        return bool(site.database.sql(statement, pk)[0][0] > first)

    until(confirmed, 10, 0)
    assert generation(last) == first
    return last


def test_copy_harms_nobody_within_the_grace_and_ends_the_session_after_it(site: Site) -> None:
    """It may be a tab's request that was under way for long; it gets the cookie of today."""
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    copy = confirm_rotation(site, jar)
    answer = site.servers[1].get("session", copy.cookie)
    assert answer.user == user
    assert generation(Jar(answer.set_cookie or "")) == generation(copy) + 1
    assert jar.get(site.servers[0], "session").user == user
    assert reuses(site, user) == 0
    site.shift(GRACE)  # nothing but this makes the difference
    assert site.servers[1].get("session", copy.cookie).user is None
    assert reuses(site, user) == 1


# --- a database that lost something ---------------------------------------------------------------


def test_session_whose_row_was_deleted_is_over_and_nobody_a_thief(site: Site) -> None:
    here, there = site.servers
    user = make_user(site)
    jar = logged_in(here, user)
    sid = jar.get(here, "session").json["sid"]
    site.database.sql("DELETE FROM django_jwtsession_session WHERE id = %s", key_of(site, sid))
    # Behind the feed's back: the copy is good for its window.
    site.shift(WINDOW)
    until(lambda: there.get("session", jar.cookie).user is None, 5)
    assert jar.get(here, "session").set_cookie is None  # deleted is only what a request has ended
    assert reuses(site, user) == 0
    assert logged_in(here, user).get(there, "session").user == user


def test_truncated_table_logs_everyone_out_and_nobody_is_a_thief(site: Site) -> None:
    users = [make_user(site) for _ in range(3)]
    jars = [logged_in(site.servers[0], user) for user in users]
    site.database.sql("TRUNCATE TABLE django_jwtsession_session")
    site.shift(WINDOW)
    for user, jar in zip(users, jars, strict=True):
        until(lambda jar=jar: jar.get(site.servers[1], "session").user is None, 5)
        assert reuses(site, user) == 0
        assert logged_in(site.servers[0], user, jar).get(site.servers[1], "session").user == user


@pytest.mark.parametrize("rotations", [1, 3])
def test_database_restored_from_an_older_backup_calls_nobody_a_thief(
    site: Site, rotations: int
) -> None:
    """Cookies are of a newer generation than their rows then; they open nothing, or go on."""
    here, there = site.servers
    user = make_user(site)
    jar = logged_in(here, user)
    bystander = make_user(site)
    other = logged_in(here, bystander)
    sid = jar.get(here, "session").json["sid"]
    pk = key_of(site, sid)
    backup = site.database.sql("SELECT * FROM django_jwtsession_session WHERE id = %s", pk)[0]
    advance(site, jar, rotations + 1)
    site.shift(GRACE)
    table = "django_jwtsession_session"
    site.database.sql(f"DELETE FROM {table} WHERE id = %s", pk)
    site.database.sql(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(backup))})", *backup)
    for server in (here, there):
        answer = server.get("session", jar.cookie, revalidate=1)
        assert answer.user in (None, user)
        assert answer.status == 200
    assert reuses(site, user) == 0
    assert other.get(there, "session").user == bystander
    assert logged_in(here, user, jar).get(there, "session").user == user
