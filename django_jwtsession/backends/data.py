"""Session data to claims and back, and what two requests changed in it. No I/O."""

from __future__ import annotations

import marshal
from dataclasses import dataclass
from typing import Any, Protocol

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.signing import JSONSerializer

from ..conf import Config
from ..exceptions import BadToken, Reason
from ..tokens import base64url
from ..tokens.claims import Claims, is_backend_digest, is_text
from .knowledge import Data, Identity

# What JWTSESSION["POLICY"] said at the login: "idle" and "absolute" in seconds, "persistent".
POLICY_KEY = "_session_policy"
# What a login stores, and nobody merges into a session that has moved on.
AUTH_KEYS = frozenset({SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY, POLICY_KEY})
_PLAIN = frozenset({str, int, float, bool, type(None)})
_MISSING = object()
_MOST_CONTAINERS = 10_000


def pack(data: dict[str, Any], config: Config, who: Identity) -> dict[str, Any]:
    """Return the claims that hold the session `data`, which is as its serializer gives it back.

    Django's three auth keys become `sub`, `be` and `ah` where that is lossless, 140 characters
    shorter; whatever they do not hold stays in `d`. `sub` is text whatever the user's id was.
    """
    rest = dict(data)
    sub = be = ah = auth_time = proved_at = None
    user = user_of(rest)
    if user is not None and who.auth_time is not None:
        sub, auth_time = user, who.auth_time
        proved_at = None if who.proved_at == auth_time else who.proved_at or 0
        del rest[SESSION_KEY]
        be = _backend_claim(rest.get(BACKEND_SESSION_KEY), config)
        if be is not None:
            del rest[BACKEND_SESSION_KEY]
        ah = _hash_claim(rest.get(HASH_SESSION_KEY))
        if ah is not None:
            del rest[HASH_SESSION_KEY]
    d = (rest if config.data_is_json else as_text(rest, config)) if rest else None
    return {"sub": sub, "auth_time": auth_time, "pt": proved_at, "be": be, "ah": ah, "d": d}


def user_of(data: dict[str, Any]) -> str | None:
    """Return the id of the user in session data as text, None where there is none."""
    user = data.get(SESSION_KEY)
    if user is not None and type(user) is not str:  # login shims and tests store it as it is
        user = str(user)
    return user if is_text(user) else None


def _is_plain(data: dict[str, Any]) -> bool:
    """Tell whether JSON gives `data` back as it is: lists, dictionaries with text keys, values."""
    pending: list[Any] = [data]
    for value in pending:  # grows on the way
        kind = type(value)
        if kind is dict:
            for key in value:
                if type(key) is not str:
                    return False
            value = value.values()
        elif kind is not list:
            return False
        pending += [inner for inner in value if type(inner) not in _PLAIN]
        if len(pending) > _MOST_CONTAINERS:  # or a circle, which the serializer refuses
            return False
    return True


def as_read_back(data: dict[str, Any], config: Config) -> dict[str, Any]:
    """Return `data` as its serializer gives it back.

    JSON makes text of the key 1 and a list of a tuple; a name that stands twice is no token, so the
    later value wins.
    """
    if _is_plain(data):
        return data
    serializer = config.serializer()
    read_back: dict[str, Any] = serializer.loads(serializer.dumps(data))
    return read_back


def as_text(data: dict[str, Any], config: Config) -> str:
    """Return `data` as base64url of the serializer's bytes: for what is no strict JSON."""
    return base64url.encode(config.serializer().dumps(data)).decode("ascii")


def unpack(claims: Claims, config: Config) -> Data:
    """Return the session data that `claims` hold. Raises BadToken (claims)."""
    if claims.d is None:
        data = Data()
    elif isinstance(claims.d, dict):
        data = Data(claims.d)
    elif isinstance(claims.d, bytes):
        return Data(marshal.loads(claims.d))  # noqa: S302  # written by Codec.keep()
    else:
        try:
            data = loads(base64url.decode(claims.d.encode("ascii")), config)
        except Exception:  # a serializer may raise anything, as Django's own engines expect
            raise BadToken(Reason.CLAIMS) from None
    if claims.sub is not None:
        data[SESSION_KEY] = claims.sub
        if claims.be is not None:
            # The digest of a backend that this process does not know stays as it is: nobody is
            # logged in by it here, and it goes out again unchanged.
            data[BACKEND_SESSION_KEY] = config.backend_paths.get(claims.be, claims.be)
        if claims.ah is not None:
            data[HASH_SESSION_KEY] = base64url.decode(claims.ah.encode("ascii")).hex()
    return data


def loads(payload: bytes, config: Config) -> Data:
    """Return the session data that the serializer made `payload` of. It may raise anything."""
    data = config.serializer().loads(payload)
    if not isinstance(data, dict):  # dict() would take [], and a list of pairs, for data
        raise TypeError("session data are no dictionary")
    return Data(data)


def dumps(data: dict[str, Any], config: Config) -> bytes:
    """Return session data as bytes, by the site's serializer."""
    payload: bytes = config.serializer().dumps(dict(data))
    return payload


def _backend_claim(path: Any, config: Config) -> str | None:
    if type(path) is not str:
        return None
    return config.backend_digests.get(path) or (path if is_backend_digest(path) else None)


def _hash_claim(value: Any) -> str | None:
    """Return `ah` for a hash in lower-case hexadecimal, as Django makes it; None for any other."""
    if type(value) is not str or not value:
        return None
    try:
        raw = bytes.fromhex(value)
    except ValueError:
        return None
    return base64url.encode(raw).decode("ascii") if raw.hex() == value else None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a request changed in the data with which it began."""

    written: Data
    deleted: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.written or self.deleted)

    @property
    def keys(self) -> frozenset[str]:
        return self.deleted | self.written.keys()

    def without(self, keys: frozenset[str] | set[str]) -> Changes:
        """Return the changes but those of `keys`."""
        written = {key: value for key, value in self.written.items() if key not in keys}
        return Changes(Data(written), self.deleted - keys)

    def applied(self, data: dict[str, Any]) -> Data:
        """Return `data` with the changes."""
        merged = {**data, **self.written}
        return Data({key: value for key, value in merged.items() if key not in self.deleted})


class Serializing(Protocol):
    """The settings, and any session: they know what serializes its data."""

    @property
    def serializer(self) -> Any:
        """The class."""


def changes(before: dict[str, Any], after: dict[str, Any], config: Serializing) -> Changes:
    """Return what `after` has otherwise than `before`, key by key."""
    written = {
        key: value
        for key, value in after.items()
        if key not in before or not _same(before[key], value, config)
    }
    return Changes(Data(written), frozenset(before.keys() - after.keys()))


def _same(old: Any, new: Any, config: Serializing) -> bool:
    """Compare as stored: 1, True and 1.0 are equal in Python, and three values in JSON.

    Arrays compare to arrays, so `==` is for values that surely give a bool.
    """
    if type(old) is type(new) and type(old) in _PLAIN:
        return bool(old == new)
    if config.serializer is JSONSerializer and _is_untouched(old, new):
        return True
    dumps = config.serializer().dumps
    return bool(dumps({"": old}) == dumps({"": new}))


def _is_untouched(old: Any, new: Any) -> bool:
    """Tell whether a value that JSON gave is as it was: an eighth of the work of writing it twice.

    Of others marshal tells less: arrays of different types may be the same bytes there.
    """
    try:
        return marshal.dumps(old, 2) == marshal.dumps(new, 2)
    except ValueError:  # none of JSON's types
        return False
