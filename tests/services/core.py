"""What the tests test_core_*.py share: the table of "a copied cookie is worth little"."""

from __future__ import annotations

from typing import Any

from .client import Jar
from .servers import Site


def is_nobody(site: Site, jar: Jar) -> bool:
    """Neither process lets the cookie in; what it writes is kept nowhere."""
    for server in site.servers:
        answer = server.get("session", jar.cookie)
        if answer.json["user"] is not None or answer.json["data"]:
            return False
    return True


def is_over(site: Site, jar: Jar) -> bool:
    """The same a second later, which is made: both have asked the feed, and their clocks moved."""
    site.learn()
    site.shift(1)
    return is_nobody(site, jar)


def is_in(site: Site, jar: Jar, user: str) -> bool:
    """Both processes let it in, with Django's own look at the user."""
    return all(jar.get(server, "whoami").json["user"] == user for server in site.servers)


def sid_of(site: Site, jar: Jar) -> str:
    return str(site.servers[0].get("session", jar.cookie).json["sid"])


def accused(site: Site, user: str) -> int:
    """Return how often a copy of the user's cookie was taken for a thief's."""
    return number_of(site, "sessionevent", "kind = 'token_reuse' AND user_id = %s", int(user))


def number_of(site: Site, table: str, where: str = "1 = 1", *parameters: Any) -> int:
    statement = f"SELECT count(*) FROM django_jwtsession_{table} WHERE {where}"
    [(number,)] = site.database.sql(statement, *parameters)
    return int(number)
