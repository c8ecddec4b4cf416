"""The session key of the engines with rows: 40 characters for server code, never a cookie's."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from django.utils.crypto import constant_time_compare

from ..models.tables import AbstractSession
from ..tokens import session_key as keys
from ..tokens.claims import Claims
from ..tokens.sid import sid_from_uuid, uuid_from_sid
from .knowledge import Content
from .opening import Key
from .renewing import RowRenewing


class RowKeys(RowRenewing):
    """A session that a key opens: what code written for Django's `db` engine works with."""

    @classmethod
    def of(cls, sid: str) -> Self:
        """Return the session that a sid names: for server code, never reachable from a cookie."""
        return cls(Key(sid))

    def _get_session_key(self) -> str | None:
        """The key of 40 characters: a credential, the same until a login or a proof of identity."""
        if self.identity is None:
            given = self._given
            if not isinstance(given, str):
                return None if given is None else self._key_after_loading()
            if "." not in given:  # as with Django's engines, not judged yet
                return given if len(given) <= keys.LENGTH else None
            claims = self._named(given)
            if isinstance(claims, Claims) and claims.sk is not None:
                return keys.join(claims.sid, claims.sk)
            return self._key_after_loading()
        return self._known_key()

    def _key_after_loading(self) -> str | None:
        data = self.load()
        self.__dict__.setdefault("_session_cache", data)  # it may have been cleared, unread
        return self._known_key()

    def _known_key(self) -> str | None:
        who = self.identity
        if who is None:
            return None
        if who.part is None:  # a signed token does not say it
            read = self._read(who.sid)
            if read is None or read.row.epoch != who.epoch:
                return None
            self.identity = who = who.but(part=read.content.identity.part)
        return keys.join(who.sid, who.part or "")

    def _set_session_key(self, value: str | None) -> None:
        self._be_nobody()
        if value:
            self._take(value)

    session_key = property(_get_session_key)
    _session_key = property(_get_session_key, _set_session_key)

    def key_of_row(self, row: AbstractSession) -> str | None:
        """Return the session key that opens `row`, None where it cannot be read."""
        content = self._unseal(row.sid, row.epoch, bytes(row.data))
        return None if content is None else keys.join(row.sid, content.identity.part or "")

    @classmethod
    def pk_of_key(cls, session_key: str) -> UUID | None:
        """Return the primary key of the row that a session key (or a token) opens, else None."""
        store = cls()
        came = store._named(session_key) if store.exists(session_key) else None
        return None if came is None else uuid_from_sid(came.sid)

    def decode_row(self, row: AbstractSession) -> dict[str, Any]:
        """Return the session data in a row, {} where it cannot be read."""
        content = self._unseal(sid_from_uuid(row.id), row.epoch, bytes(row.data))
        return {} if content is None else dict(self._data_in(content))

    def exists(self, session_key: str | None) -> bool:
        """Tell whether a key (or a token) opens a session that is there."""
        came = self._named(session_key)
        read = None if came is None else self._read(came.sid)
        if came is None or read is None:
            return False
        if isinstance(came, Key):
            return opens(came, read.content)
        return came.ep == read.row.epoch


def opens(came: Key, content: Content) -> bool:
    """Tell whether a key opens the session of a row; a name does, as only server code has one."""
    return came.part is None or constant_time_compare(came.part, content.identity.part or "")
