"""The ``JWTSESSION`` setting: one dict, every key checked, read once.

`get_config()` is what the rest of the package calls; checks.py turns `problems()` into messages.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .exceptions import BadKey
from .tokens import base64url
from .tokens.codec import Codec
from .tokens.keys import ALGORITHMS, KeyRing, KeySource, read_pem
from .tokens.seal import RowSeal

DAY = 86400
SHORTEST_SECRET = 32  # bytes
# Browsers drop a cookie whose name and value are longer, without a word (RFC 6265 6.1).
MAX_COOKIE_SIZE = 4096
JSON_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"


@dataclass(frozen=True)
class Config:
    """The values of ``JWTSESSION`` under their names in lower case; durations in seconds."""

    algorithms: Sequence[str] = ("A256GCM",)
    # Never in a repr: debug pages and error trackers show those of local variables.
    keys: Sequence[KeySource] = field(default=(), repr=False)
    issuer: str | None = None
    audience: str | None = None
    leeway: float = 15
    absolute_age: float = 90 * DAY
    revalidate_after: float = 60
    revocation_poll: float | None = 1.0
    revocation_cache: str | None = None
    stale_if_error: float = 60
    last_seen_every: float = 300
    rotate_after: float | None = 3600
    rotate_grace: float = 300
    compress: bool = False
    trusted_proxy_count: int = 0
    store_ip: bool | str = True
    max_sessions_per_user: int | None = None
    clear_at_login: int = 100
    history_age: float = 90 * DAY
    ip_age: float | None = None
    new_device_email: bool = False
    token_reuse_email: bool = False
    location: str | None = None
    policy: str | None = None
    passive_paths: Sequence[str] = ()
    cookie_was: Sequence[Mapping[str, Any]] = ()
    max_cookie_size: int = MAX_COOKIE_SIZE

    @cached_property
    def _codecs(self) -> dict[tuple[str, str | None], Codec]:
        return {}

    @cached_property
    def _seals(self) -> dict[str, RowSeal]:
        return {}

    @property
    def codec(self) -> Codec:
        """The codec of an ordinary site. Raises ImproperlyConfigured where KEYS cannot be used."""
        return self.codec_in("")

    def codec_in(self, place: str, cookie_name: str | None = None) -> Codec:
        """Return the codec of a place (models/place.py), of today's cookie or a former one's.

        Both are part of every key. Raises ImproperlyConfigured where KEYS cannot be used.
        """
        which = place, cookie_name
        codec = self._codecs.get(which)
        if codec is None:
            codec = self._make_codec(place, cookie_name or settings.SESSION_COOKIE_NAME)
            self._codecs[which] = codec
        return codec

    def _make_codec(self, place: str, cookie_name: str) -> Codec:
        try:
            ring = KeyRing(
                self.key_sources,
                cookie_name,
                place=place,
                max_age=max(self.absolute_age, settings.SESSION_COOKIE_AGE),
                compress=self.compress,
            )
            return Codec(
                ring,
                self.algorithms,
                leeway=self.leeway,
                issuer=self.issuer,
                audience=self.audience,
                place=place,
            )
        except BadKey as error:
            raise ImproperlyConfigured(f'JWTSESSION["KEYS"]: {error}.') from None

    def seal_in(self, place: str) -> RowSeal:
        """Return what seals the rows of a place: KEYS' secrets, or SECRET_KEY if all are PEM."""
        seal = self._seals.get(place)
        if seal is None:
            secrets = [key for key in self.key_sources if read_pem(key) is None]
            secrets = secrets or [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
            seal = self._seals[place] = RowSeal(secrets, place)  # type: ignore[arg-type]
        return seal

    @property
    def key_sources(self) -> Sequence[KeySource]:
        """KEYS, or Django's secret keys where it is not set."""
        return self.keys or [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]

    @cached_property
    def serializer(self) -> type[Any]:
        """The class that SESSION_SERIALIZER names."""
        serializer: type[Any] = import_string(settings.SESSION_SERIALIZER)
        return serializer

    @cached_property
    def policy_function(self) -> Callable[..., Any]:
        """The function that POLICY names. Raises ImproperlyConfigured where it names none."""
        try:
            found = import_string(self.policy or "")
        except ImportError as error:
            raise ImproperlyConfigured(
                f'JWTSESSION["POLICY"] cannot be imported: {error}'
            ) from None
        if not callable(found):
            raise ImproperlyConfigured(
                f'JWTSESSION["POLICY"], {self.policy}, is no function. Write one of'
                " (user, request) that returns django_jwtsession.policy.Policy(..)."
            )
        function: Callable[..., Any] = found
        return function

    @cached_property
    def data_is_json(self) -> bool:
        """Whether session data can stand in a token as a JSON object."""
        return bool(settings.SESSION_SERIALIZER == JSON_SERIALIZER)

    @cached_property
    def backend_digests(self) -> dict[str, str]:
        """The `be` claim of each authentication backend, by its path."""
        return {path: _digest(path) for path in settings.AUTHENTICATION_BACKENDS}

    @cached_property
    def backend_paths(self) -> dict[str, str]:
        """The path of each authentication backend, by its `be` claim."""
        return {digest: path for path, digest in self.backend_digests.items()}


def _digest(path: str) -> str:
    return base64url.encode(hashlib.sha256(path.encode()).digest())[:6].decode()


# --- what each key takes -------------------------------------------------------------------------


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
    if value is None:
        return True
    parts = value.split(".") if isinstance(value, str) else []
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


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
        elif not rule.accepts(_plain(given)):
            found.append(f'JWTSESSION["{key}"] must be {rule.write}.')
    return found or _contradictions(value)


def _contradictions(value: dict[str, Any]) -> list[str]:
    grace = _plain(value.get("ROTATE_GRACE", Config.rotate_grace))
    if grace < _plain(value.get("REVALIDATE_AFTER", Config.revalidate_after)):
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


def secrets(config: Config) -> Iterator[tuple[int, bytes]]:
    """Yield each secret among the keys with its number, from 1; PEM keys are left out."""
    for number, source in enumerate(config.key_sources, 1):
        try:
            if read_pem(source) is None:  # so it is no Path
                yield number, source.encode() if isinstance(source, str) else bytes(source)
        except (BadKey, UnicodeEncodeError):
            continue  # building the codec says so


def short_keys(config: Config) -> list[str]:
    """Return which secrets are under 32 bytes; never a part of one."""
    where = 'JWTSESSION["KEYS"]' if config.keys else "SECRET_KEY and SECRET_KEY_FALLBACKS"
    return [
        f"Key {number} of {where} is under 32 bytes."
        for number, secret in secrets(config)
        if len(secret) < SHORTEST_SECRET
    ]


def unusable_keys(config: Config) -> list[str]:
    """Return why no token can be made with the keys; never a part of one."""
    try:
        config.codec  # noqa: B018
    except ImproperlyConfigured as error:
        return [str(error)]
    return []


def require_keys(allow_short: bool) -> None:
    """Raise ImproperlyConfigured if no server should start with the site's keys.

    Arguments: `allow_short` lets secrets of under 32 bytes pass, as while developing.
    """
    config = get_config()
    for problem in unusable_keys(config) + ([] if allow_short else short_keys(config)):
        raise ImproperlyConfigured(f"{problem} `manage.py check` says what to write.")


def _plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


_config: Config | None = None


def get_config() -> Config:
    """Return the site's configuration, built at first use and again after a change of settings.

    Raises ImproperlyConfigured with the first problem.
    """
    return _config or _build()


def _build() -> Config:
    global _config
    given = getattr(settings, "JWTSESSION", {})
    if found := problems(given) + age_problems():
        raise ImproperlyConfigured(found[0])
    _config = Config(**{key.lower(): _plain(value) for key, value in given.items()})
    return _config


def _forget(**kwargs: Any) -> None:
    global _config
    _config = None


setting_changed.connect(_forget, dispatch_uid="django_jwtsession.conf")


def in_test_environment() -> bool:
    """Tell whether Django's setup_test_environment() is in force, by the state that it keeps."""
    # Where nothing has imported the module nobody has called it; its import loads all of unittest.
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")
