"""Sockets of one process close soon after another process has ended their sessions.

SOCKETS=5000 .ci/services python -m pytest tests/services/test_sockets.py -s -k question
prints the figures of docs/live.md.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import pytest

from django_jwtsession.contrib.channels import SESSION_ENDED
from tests.conftest import ENGINES

from . import servers
from .conftest import HERE, logged_in, make_user
from .sockets import Sockets

pytest.importorskip("websockets")

COUNT = int(os.environ.get("SOCKETS", 200))
SESSIONS = 20
WATCHED_FOR = 30.0 if COUNT > 1000 else 5.0
# 1.5 s on a machine that does nothing else.
WITHIN = 4.0


@pytest.fixture(scope="module", params=HERE)
def site(
    request: pytest.FixtureRequest,
    site_database: servers.Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[servers.Site]:
    """One process with the sockets, and one that ends sessions."""
    folder = tmp_path_factory.mktemp(f"sockets-{request.param}")
    engine = ENGINES[request.param]
    with servers.serve(site_database, folder, engine, kinds=("uvicorn", "gthread")) as site:
        yield site


def counted(server: servers.Server) -> dict[str, Any]:
    answer: dict[str, Any] = server.get("statements").json
    return answer


async def test_all_close_with_4401_and_cost_one_question_a_second(site: servers.Site) -> None:
    here, there = site.servers
    user = make_user(site)
    jars = [logged_in(there, user) for _ in range(SESSIONS)]
    sockets = Sockets(here.port)
    try:
        await sockets.open(list(islice(cycle(jar.cookie for jar in jars), COUNT)))
        await asyncio.sleep(1.5)  # the first look at their rows and users
        before = await asyncio.to_thread(counted, here)
        await asyncio.sleep(WATCHED_FOR)
        asked = (await asyncio.to_thread(counted, here))["count"] - before["count"]
        ended = time.time()
        await asyncio.to_thread(there.get, "end_all", user=user)
        await sockets.all_closed(30)
    finally:
        await sockets.leave()
    # As the server has it: the client, on the same processor, reads them one after the other.
    times, taken = zip(*counted(here)["closed_at"][-COUNT:], strict=True)
    first, last, work = min(times) - ended, max(times) - ended, max(taken) - min(taken)
    print(
        f"\n{site.engine}: {COUNT} sockets closed {first:.2f} to {last:.2f} s after,"
        f" with {work:.2f} s of a processor; {asked / WATCHED_FOR:.1f} statements a second"
    )
    assert {code for _, code in sockets.closed} == {SESSION_ENDED}
    assert len(sockets.closed) == COUNT
    assert last < WITHIN
    # A second has room for 1.2 polls; a look at rows and users may fall into these seconds.
    assert asked <= WATCHED_FOR * 1.3 + 2 * (1 + COUNT // 1000)


async def test_one_session_ends_and_the_others_go_on(site: servers.Site) -> None:
    here, there = site.servers
    user = make_user(site)
    one, other = logged_in(there, user), logged_in(there, user)
    sid = there.get("session", one.cookie).json["sid"]
    ending, staying = Sockets(here.port), Sockets(here.port)
    try:
        await ending.open([one.cookie] * 3)
        await staying.open([other.cookie] * 3)
        await asyncio.to_thread(there.get, "end_session", sid=sid)
        await ending.all_closed(5)
        await asyncio.sleep(0.2)
        assert not staying.closed
    finally:
        await ending.leave()
        await staying.leave()
