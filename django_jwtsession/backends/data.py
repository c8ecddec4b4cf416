"""Session data to claims and back, and what two requests changed in it. No I/O."""

from __future__ import annotations

import marshal
from contextlib import suppress
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from ..conf import Config
from ..exceptions import BadToken, Reason
from ..tokens import base64url
from ..tokens.claims import Claims, is_backend_digest, is_text

Data = dict[str, Any]
_PLAIN = frozenset({str, int, float, bool, type(None)})
_MISSING = object()
_MOST_CONTAINERS = 10_000


def pack(claims: Claims, data: Data, config: Config, auth_time: float | None) -> Claims:
    """Return `claims` with the session `data` in them.

    Django's three auth keys become `sub`, `be` and `ah` where that is lossless, 140 characters
    shorter; whatever they do not hold stays in `d`.
    """
    rest = dict(data) if _is_plain(data) else _as_read_back(data, config)
    sub = be = ah = None
    if is_text(rest.get(SESSION_KEY)) and auth_time is not None:
        sub = rest.pop(SESSION_KEY)
        be = _backend_claim(rest.get(BACKEND_SESSION_KEY), config)
        if be is not None:
            del rest[BACKEND_SESSION_KEY]
        ah = _hash_claim(rest.get(HASH_SESSION_KEY))
        if ah is not None:
            del rest[HASH_SESSION_KEY]
    auth_time = None if sub is None else auth_time
    d = (rest if config.data_is_json else as_text(rest, config)) if rest else None
    # As claims._replace(), without its dictionary of all fields.
    return Claims._make((*claims[:6], sub, auth_time, be, ah, *claims[10:13], d, claims.big))


def _is_plain(data: Data) -> bool:
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


def _as_read_back(data: Data, config: Config) -> Data:
    """Return `data` as its serializer gives it back.

    JSON makes text of the key 1 and a list of a tuple; a name that stands twice is no token, so the
    later value wins.
    """
    serializer = config.serializer()
    read_back: Data = serializer.loads(serializer.dumps(data))
    return read_back


def as_text(data: Data, config: Config) -> str:
    """Return `data` as base64url of the serializer's bytes: for what is no strict JSON."""
    return base64url.encode(config.serializer().dumps(data)).decode("ascii")


def unpack(claims: Claims, config: Config) -> Data:
    """Return the session data that `claims` hold. Raises BadToken (claims)."""
    data: Data
    if claims.d is None:
        data = {}
    elif isinstance(claims.d, dict):
        data = claims.d
    else:
        try:
            data = config.serializer().loads(base64url.decode(claims.d.encode("ascii")))
        except Exception:  # a serializer may raise anything, as Django's own engines expect
            raise BadToken(Reason.CLAIMS) from None
        if not isinstance(data, dict):
            raise BadToken(Reason.CLAIMS)
    if claims.sub is not None:
        data[SESSION_KEY] = claims.sub
        if claims.be is not None:
            # The digest of a backend that this process does not know stays as it is: nobody is
            # logged in by it here, and it goes out again unchanged.
            data[BACKEND_SESSION_KEY] = config.backend_paths.get(claims.be, claims.be)
        if claims.ah is not None:
            data[HASH_SESSION_KEY] = base64url.decode(claims.ah.encode("ascii")).hex()
    return data


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


def changes(before: Data, after: Data, config: Config) -> Data:
    """Return what `after` has otherwise than `before`, key by key; MISSING for a deleted key."""
    found = {
        key: value
        for key, value in after.items()
        if key not in before or not _same(before[key], value, config)
    }
    found.update((key, _MISSING) for key in before.keys() - after.keys())
    return found


def apply(found: Data, data: Data) -> Data:
    """Return `data` with the changes that `changes()` found."""
    merged = data | found
    return {key: value for key, value in merged.items() if value is not _MISSING}


def _same(old: Any, new: Any, config: Config) -> bool:
    """Compare as stored: 1, True and 1.0 are equal in Python, and three values in JSON."""
    if old != new:
        return False
    if type(old) is type(new) and type(old) in _PLAIN:
        return True
    with suppress(ValueError):  # something that marshal does not know
        # In version 2 the bytes of what JSON knows depend on types, values and order alone.
        if marshal.dumps(old, 2) == marshal.dumps(new, 2):
            return True
    dumps = config.serializer().dumps
    return bool(dumps({"": old}) == dumps({"": new}))
