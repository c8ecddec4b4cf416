"""What ``JWTSESSION`` says, as values that the rest of the package reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..exceptions import BadKey
from ..tokens import base64url
from ..tokens.codec import Codec
from ..tokens.keys import KeyRing, KeySource, read_pem
from ..tokens.seal import RowSeal
from .moving import OldEngine, as_list

DAY = 86400
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
    # May hold the secrets of another site.
    migrate_from: Any = field(default=None, repr=False)
    migrate_share: float = 1.0
    migrate_to: str | None = None

    @cached_property
    def old_engines(self) -> tuple[OldEngine, ...]:
        """What MIGRATE_FROM names, in its order."""
        return tuple(OldEngine.of(entry) for entry in as_list(self.migrate_from))

    @property
    def moves(self) -> bool:
        """Whether any session is to move in, or out."""
        return self.migrate_from is not None or self.migrate_to is not None

    @cached_property
    def codecs(self) -> Codecs:
        """The codecs of today's cookie by place: codec_in() without its call, for each request."""
        return Codecs(self)

    @cached_property
    def _codecs(self) -> dict[tuple[str, str | None, str], Codec]:
        return {}

    @cached_property
    def _seals(self) -> dict[str, RowSeal]:
        return {}

    @property
    def codec(self) -> Codec:
        """The codec of an ordinary site. Raises ImproperlyConfigured where KEYS cannot be used."""
        return self.codec_in("")

    def codec_in(self, place: str, cookie_name: str | None = None, typ: str = "ses+jwt") -> Codec:
        """Return the codec of a place (models/place.py), of today's cookie or a former one's.

        Both are part of every key; `typ` is the type of its tokens, which no other codec takes.
        Raises ImproperlyConfigured where KEYS cannot be used.
        """
        which = place, cookie_name, typ
        codec = self._codecs.get(which)
        if codec is None:
            name = cookie_name or str(settings.SESSION_COOKIE_NAME)  # a wrong one is E015
            codec = self._make_codec(place, name, typ)
            self._codecs[which] = codec
        return codec

    def _make_codec(self, place: str, cookie_name: str, typ: str) -> Codec:
        try:
            ring = KeyRing(
                self.key_sources,
                cookie_name,
                place=place,
                max_age=max(self.absolute_age, settings.SESSION_COOKIE_AGE),
                compress=self.compress,
                typ=typ,
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


class Codecs(dict[str, Codec]):
    """The codecs of a site by place, made at their first use."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._config = config

    def __missing__(self, place: str) -> Codec:
        self[place] = codec = self._config.codec_in(place)
        return codec


def _digest(path: str) -> str:
    return base64url.encode(hashlib.sha256(path.encode()).digest())[:6].decode()
