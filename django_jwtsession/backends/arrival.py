"""Which session cookies came with a request: several of one name, or one of a former name."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.http import HttpRequest

from ..conf import get_config
from ..exceptions import BadToken
from ..models.place import current_place
from ..tokens.claims import Claims
from ..tokens.codec import Codec
from .base import TokenSession
from .knowledge import Ended
from .options import options


class Arrived(NamedTuple):
    """A cookie's value under the name that it came with."""

    name: str
    value: str


def _arrived(request: HttpRequest) -> list[Arrived]:
    """Return the session cookies among which there is a choice; none for one of today's name.

    Browsers send cookies of other Domains and Paths under the same name, longer Paths and older
    cookies first (RFC 6265 5.4); Django keeps the last. Those of former names stand at the end.
    """
    header = request.META.get("HTTP_COOKIE", "")
    names = dict.fromkeys([options.name, *(place.name for place in options.was)])
    found = [Arrived(name, value) for name in names for value in _values(header, name)]
    chosen = request.COOKIES.get(options.name)
    if chosen and Arrived(options.name, chosen) not in found:
        return []  # a middleware has put another one in its place
    is_plain = len(found) < 2 and all(each.name == options.name for each in found)
    return [] if is_plain else found


def _values(header: str, name: str) -> Iterator[str]:
    for part in header.split(";"):
        key, _, value = part.partition("=")
        if key.strip() == name and (value := value.strip().strip('"')):
            yield value


class _Several(TokenSession):
    """Stands before an engine: of the cookies that came, the first that opens a session."""

    arrived: Sequence[Arrived] = ()

    def load(self) -> dict[str, Any]:
        if not self.arrived:  # later loads are those of the session that was found
            return super().load()
        for _ in self._each_token():
            self._try(super().load())
        return self._found

    async def aload(self) -> dict[str, Any]:
        if not self.arrived:
            return await super().aload()
        for _ in self._each_token():
            self._try(await super().aload())
        return self._found

    def _each_token(self) -> Iterator[None]:
        """Have each token that came in its turn as what was given, until one opens."""
        came, self.arrived = self.arrived, ()
        self._found: dict[str, Any] = {}
        ends = set()
        for token in _in_order(came):
            self.ended = Ended.NOT
            self._session_key = token
            yield
            if self.identity is not None:
                # Wherever the browser keeps it: it gets one at today's place, and loses the others.
                self.cookie_due = self.cookie_due or bool(options.was)
                return
            ends.add(self.ended)
        # What forbids most: a cookie on its way, then one that may be good elsewhere.
        order = (
            Ended.PASSED,
            Ended.JUST_PASSED,
            Ended.REFUSED,
            Ended.HERE,
            Ended.NO_TOKEN,
        )
        self.ended = next((one for one in order if one in ends), Ended.NOT)

    def _try(self, data: dict[str, Any]) -> None:
        self._found = data

    def flush(self) -> None:
        """End the session; not only the first of the cookies that may name one."""
        self._get_session()
        super().flush()

    async def aflush(self) -> None:
        """See flush()."""
        await self._aget_session()
        await super().aflush()


def session_of(store: type[Any], request: HttpRequest) -> Any:
    """Return a session of the engine `store` for the cookies that came; None for one of them."""
    came = _arrived(request)
    if not came:
        return None
    if not issubclass(store, TokenSession):  # Django keeps the last of one name
        return store(next((each.value for each in reversed(came)), None))
    # The longest: an engine looks at none that is too short to be a key.
    session = _several(store)(max((each.value for each in came), key=len))
    session.arrived = came
    return session


@lru_cache(8)
def _several(store: type[Any]) -> type[Any]:
    if issubclass(store, _Several):
        return store
    return type(store.__name__, (_Several, store), {"__module__": store.__module__})


def _in_order(came: Sequence[Arrived]) -> list[str]:
    """Return the tokens to try: authentic ones, of each session the newest, then whatever is left.

    An older cookie of a session would be taken for a thief's copy.
    """
    newest: dict[str, tuple[tuple[float, ...], str]] = {}
    others = []
    for name, value in came:
        claims = _read(name, value)
        if claims is None:
            others.append(value)
            continue
        age = (claims.ep, claims.gen or 0, claims.iat)
        if claims.sid not in newest or newest[claims.sid][0] < age:
            newest[claims.sid] = age, _as_of_today(name, value, claims)
    return [token for _, token in newest.values()] + others


def _read(name: str, value: str) -> Claims | None:
    try:
        return _codec(name).read(value, time.time())
    except BadToken:
        return None


def _as_of_today(name: str, value: str, claims: Claims) -> str:
    """Return a token that opens the same session under today's name, which is part of the key."""
    if name == options.name:
        return value
    return _codec(options.name).issue(claims, time.time())


def _codec(name: str) -> Codec:
    today = name == options.name
    return get_config().codec_in(current_place(), None if today else name)
