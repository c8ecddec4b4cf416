"""SECRET_KEY moves to the fallbacks: 20 browsers with 4 parallel requests each notice nothing."""

from __future__ import annotations

import pytest

from tests.conftest import ENGINES

from .client import Jar, together
from .conftest import HERE, logged_in, make_user
from .servers import Database, serve

BROWSERS, TABS = 8, 4
OLD = "the secret key of today, which has more than thirty-two bytes"
NEW = "the secret key of tomorrow, which has more than thirty-two bytes"


@pytest.mark.parametrize("engine", HERE)
def test_new_secret_key_logs_nobody_out_and_answers_all(
    engine: str, site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp
    with serve(site_database, folder("old"), ENGINES[engine], SITE_SECRET=OLD) as site:
        users = [make_user(site) for _ in range(4)]
        jars = [logged_in(site.servers[0], users[n % 4]) for n in range(BROWSERS)]
    secrets = {"SITE_SECRET": NEW, "SITE_FALLBACK": OLD}
    with serve(site_database, folder("new"), ENGINES[engine], **secrets) as site:
        failed = []
        for number, jar in enumerate(jars):
            cookie, user = jar.cookie, users[number % 4]
            answers = together(
                TABS, lambda tab, cookie=cookie: site.servers[tab % 2].get("whoami", cookie)
            )
            failed += [a.status for a in answers if a.json.get("user") != user]
            for answer in answers:
                jar.keep(answer)
        assert failed == [], site.errors()
        assert [is_logged_in(site.servers, jar) for jar in jars] == [True] * BROWSERS
    with serve(site_database, folder("last"), ENGINES[engine], SITE_SECRET=NEW) as site:
        # Where a tab's answer had the upgraded hash and a new cookie, the fallback can go.
        jar = logged_in(site.servers[0], users[0])
        assert is_logged_in(site.servers, jar)


def is_logged_in(servers: object, jar: Jar) -> bool:
    return all(jar.get(server, "whoami").json.get("user") for server in servers)  # type: ignore[attr-defined]
