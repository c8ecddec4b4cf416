"""What each key of ``JWTSESSION`` takes, and what to write in place of what it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from django.conf import settings

from ..tokens.keys import ALGORITHMS
from .config import DAY, MAX_COOKIE_SIZE, Config
from .moving import are_old_engines, is_path


def _seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 100 * 366 * DAY


def _positive(value: Any) -> bool:
    return _seconds(value) and value > 0


def _positive_or_none(value: Any) -> bool:
    return value is None or _positive(value)


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _algorithms(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(v in ALGORITHMS for v in value)


def _keys(value: Any) -> bool:
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(key, str | bytes | Path) and key not in ("", b"") for key in value)


def _switch(value: Any) -> bool:
    return type(value) is bool


def _name(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value != "")


def _dotted_path(value: Any) -> bool:
    return value is None or is_path(value)


def _paths(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(path, str) and path.startswith("/") for path in value
    )


def _places(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_is_place(entry) for entry in value)


def _is_place(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and bool(entry)
        and entry.keys() <= {"name", "domain", "path"}
        and isinstance(entry.get("name", "x"), str)
        and bool(entry.get("name", "x"))
        and isinstance(entry.get("domain"), str | None)
        and _paths([entry.get("path", "/")])
    )


def _share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _cookie_size(value: Any) -> bool:
    return type(value) is int and 1024 <= value <= MAX_COOKIE_SIZE


@dataclass(frozen=True)
class _Rule:
    accepts: Callable[[Any], bool]
    write: str


RULES: dict[str, _Rule] = {
    "ALGORITHMS": _Rule(
        _algorithms,
        f"a list with one or more of {', '.join(map(repr, ALGORITHMS))}, the first issues",
    ),
    "KEYS": _Rule(
        _keys,
        "a list of one or more secrets (str or bytes) and PEM keys (text or path), newest first;"
        " leave it out for Django's SECRET_KEY",
    ),
    "ISSUER": _Rule(_name, "a string, or None"),
    "AUDIENCE": _Rule(_name, "a string, or None"),
    "LEEWAY": _Rule(_seconds, "seconds or a timedelta, such as 15"),
    "ABSOLUTE_AGE": _Rule(_positive, "seconds or a timedelta, such as timedelta(days=90)"),
    "REVALIDATE_AFTER": _Rule(_seconds, "seconds or a timedelta, such as 60"),
    "REVOCATION_POLL": _Rule(_positive_or_none, "seconds, such as 1.0, or None for no feed"),
    "REVOCATION_CACHE": _Rule(_name, "the alias of one of CACHES that all servers share, or None"),
    "STALE_IF_ERROR": _Rule(_seconds, "seconds or a timedelta, such as 60"),
    "ROTATE_AFTER": _Rule(_positive_or_none, "seconds or a timedelta, or None for no rotation"),
    "ROTATE_GRACE": _Rule(_seconds, "seconds or a timedelta, such as 300"),
    "LAST_SEEN_EVERY": _Rule(_seconds, "seconds or a timedelta, such as 300"),
    "COMPRESS": _Rule(_switch, "True or False"),
    "TRUSTED_PROXY_COUNT": _Rule(_count, "the number of your own proxies, 0 or more"),
    "STORE_IP": _Rule(
        lambda value: value is True or value is False or value == "prefix",
        'True, "prefix" or False',
    ),
    "MAX_SESSIONS_PER_USER": _Rule(
        lambda value: value is None or (_count(value) and value > 0),
        "the most sessions of one user, 1 or more, or None for any number",
    ),
    "HISTORY_AGE": _Rule(_positive, "seconds or a timedelta, such as timedelta(days=90)"),
    "IP_AGE": _Rule(_positive_or_none, "seconds or a timedelta, or None to keep addresses whole"),
    "CLEAR_AT_LOGIN": _Rule(_count, "the most expired rows a login may delete, 0 for none"),
    "NEW_DEVICE_EMAIL": _Rule(_switch, "True or False"),
    "TOKEN_REUSE_EMAIL": _Rule(_switch, "True or False"),
    "LOCATION": _Rule(_name, "the dotted path of a function from an IP address to words, or None"),
    "POLICY": _Rule(
        _dotted_path,
        "the dotted path of a function of (user, request) that returns a Policy, such as"
        ' "django_jwtsession.policy.staff", or None',
    ),
    "PASSIVE_PATHS": _Rule(
        _paths, 'a list of paths that begin with "/", such as ["/poll", "/events/"]'
    ),
    "COOKIE_WAS": _Rule(
        _places,
        'a list of dicts with one or more of "name", "domain" and "path", such as'
        ' [{"name": "sessionid", "domain": "example.com"}]',
    ),
    "MAX_COOKIE_SIZE": _Rule(
        _cookie_size, "the bytes that name and value may take, 1024 to 4096 (what browsers keep)"
    ),
    "MIGRATE_FROM": _Rule(
        are_old_engines,
        'the path of the engine that sessions come from, "django.contrib.sessions.backends.db", or'
        ' a dict of it and its cookie, {"engine": .., "cookie": "sessionid"}, or a list of these',
    ),
    "MIGRATE_SHARE": _Rule(_share, "the share of browsers that move, 0 to 1"),
    "MIGRATE_TO": _Rule(
        _dotted_path,
        'the path of the engine to which sessions go back, "django.contrib.sessions.backends.db"',
    ),
}
assert set(RULES) == {each.name.upper() for each in fields(Config)}


def problems(value: Any) -> list[str]:
    """Return what is wrong with a ``JWTSESSION`` dict, each with what to write instead."""
    if not isinstance(value, dict):
        return ["JWTSESSION must be a dict; write JWTSESSION = {} for the defaults."]
    found = []
    for key, given in value.items():
        rule = RULES.get(key) if isinstance(key, str) else None
        if rule is None:
            near = get_close_matches(str(key).upper(), RULES, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(RULES)}."
            found.append(f"JWTSESSION has no key {key!r}. {hint}")
        elif not rule.accepts(plain(given)):
            found.append(f'JWTSESSION["{key}"] must be {rule.write}.')
    return found or _contradictions(value)


def _contradictions(value: dict[str, Any]) -> list[str]:
    grace = plain(value.get("ROTATE_GRACE", Config.rotate_grace))
    if grace < plain(value.get("REVALIDATE_AFTER", Config.revalidate_after)):
        return [
            'JWTSESSION["ROTATE_GRACE"] must not be less than REVALIDATE_AFTER: a copy that is'
            " still trusted would be called stolen."
        ]
    return []


def age_problems() -> list[str]:
    """Return what is wrong with SESSION_COOKIE_AGE, which Django takes as it is."""
    age = settings.SESSION_COOKIE_AGE
    if _seconds(age):
        return []
    write = "a number, such as 14 * 24 * 60 * 60"
    if isinstance(age, str):
        write = f'int("{age}")' if age.isdecimal() else "int(..)"
    elif isinstance(age, timedelta):
        write = "timedelta(..).total_seconds()"
    return [
        "SESSION_COOKIE_AGE must be a number of seconds. Write SESSION_COOKIE_AGE ="
        f" {write} in place of a {type(age).__name__}."
    ]


def plain(value: Any) -> Any:
    """Return a duration in seconds, anything else as it is."""
    return value.total_seconds() if isinstance(value, timedelta) else value
