"""Writing the row of a session, whoever else writes to it meanwhile.

Every UPDATE names the epoch in its WHERE: what belongs to an epoch that has passed changes nothing
of the next one, but for data that is merged into it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError

from ..tokens import session_key as keys
from ..tokens.claims import Claims
from . import columns, rows
from . import data as session_data
from .belonging import Before
from .creating import RowCreating
from .data import AUTH_KEYS, Changes
from .flows import Flow, run
from .knowledge import Data, Ended, Identity, Read
from .opening import new_epoch
from .rotation import EPOCH_LAG

_OPTIMISTIC_TRIES = 3
# Seconds by which a write need not move the end of a session, and the part of its idle age.
_END_WAVERS, _PART_OF_AGE = 60.0, 1 / 100


class RowWriting(RowCreating):
    """The part of the engines with rows that writes; how one is read is in db.py."""

    # Whether this request has saved.
    _has_written = False

    # --- saving -----------------------------------------------------------------------------------

    def _saving(self, must_create: bool) -> Flow[None]:
        yield
        data = self._get_session(no_load=must_create)
        if must_create:
            self._create_under_key(data)
            return
        self._go_back()
        read = self._row_to_write()
        if read is not None:
            self._write(data, read)
        elif not self.sets_no_cookie:
            self._create(data)

    def _create_under_key(self, data: dict[str, Any]) -> None:
        """Make the row that a key names, as `save(must_create=True)` of Django's engines."""
        came = self._named(self._given if isinstance(self._given, str) else None)
        if came is None:
            self._create(data)
            return
        part = came.sk if isinstance(came, Claims) else came.part
        before, epoch = self.identity, new_epoch(0, time.time())
        self.identity = Identity(came.sid, epoch, part or keys.new_key_part())
        try:
            self._insert(data)
        except CreateError:  # it goes on as it was
            self.identity = before
            raise

    def _row_to_write(self) -> Read | None:
        """Return the row that a write changes, None if there was none.

        Raises UpdateError where it has ended meanwhile.
        """
        if self.known is None and self._given is not None:
            self.load()  # its data was replaced unseen, by clear()
        return self.known if isinstance(self.known, Read) else None

    def _data_before(self) -> Data:
        """Return the data with which this request began, to be compared and not to be changed."""
        assert isinstance(self.known, Read)
        return self._seen(self.known)

    def _write(self, data: dict[str, Any], read: Read) -> None:
        """Bring what this request changed into the row, whoever else writes to it meanwhile."""
        found = self._changes(data, read)
        for _ in range(_OPTIMISTIC_TRIES):
            if read.row.epoch != self._identity().epoch:
                return self._write_into_later_epoch(read, found)
            if self._compare_and_swap(read, found, data):
                return self._wrote()
            read = self._reread()
            if self._is_undone(read):
                found = session_data.changes(self._data_in(read.content), data, self.config)
        later = rows.locked(self.model, partial(self._write_locked, found, data))
        return self._wrote() if later is None else self._write_into_later_epoch(later, found)

    def _write_locked(self, found: Changes, data: dict[str, Any]) -> Read | None:
        """Write `found` into the row while nobody else can; return it if its epoch is a later."""
        read = self._reread(lock=True)
        if read.row.epoch != self._identity().epoch:
            return read
        if not self._compare_and_swap(read, found, data):
            raise UpdateError
        return None

    def _note_written_over(self, read: Read, before: Before | None = None) -> None:
        self._note_unsettled(rows.written_in_transaction(self.model), read, before)

    def _is_undone(self, read: Read) -> bool:
        """Tell whether what this request has saved was rolled back, as far as the row says.

        That of a TestCase, that is: nobody else has written to it.
        """
        known = self.known
        if not self._has_written or not isinstance(known, Read):
            return False
        return read.row.epoch == known.row.epoch and read.row.version < known.row.version

    def _changes(self, data: dict[str, Any], read: Read) -> Changes:
        """Return what this request changed and may write on top of the row."""
        return session_data.changes(self._data_before(), data, self.config)

    def _reread(self, lock: bool = False) -> Read:
        read = self._read(self._identity().sid, lock)
        if read is None:
            raise UpdateError
        return read

    def _compare_and_swap(self, read: Read, found: Changes, data: dict[str, Any]) -> bool:
        """Write `found` on top of the row; False where it is not at that version any more."""
        if read is not self.known:
            replace_data(data, found.applied(self._data_in(read.content)))
        now, row, content = time.time(), read.row, read.content
        self._settle_auth(data, now)
        self._expires_at = self._end_to_write(row, found, now)
        after = self._moved_times(row, now)
        changed: dict[str, Any] = {}
        who = self._identity()
        where = {"epoch": row.epoch, **self._expected_version(row)}
        if found or who != content.identity or not content.is_newest:
            new_keys = content.new_keys
            if content.reads_on and now - row.epoch / 1000 <= 2 * EPOCH_LAG:
                new_keys |= found.keys
            content = self._content_of(data, now, content.reads_on, new_keys)
            after |= {"data": self._sealed(content), "version": row.version + 1}
            where["version"] = row.version
            if self._expires_at == row.expires_at:
                del after["expires_at"]
            if (who.user, who.auth_time) != _login_of(read):
                changed |= self._auth_columns()
        changed |= columns.of(after) | self._own_columns(data)
        if self._is_login:
            changed |= self._device_columns()
        if not rows.update(self.model, self._pk, changed, **where):
            return False
        self.look_for_change = 0 < row.last_seen_at < after.get("last_seen_at", 0.0)
        self._note_written_over(read)
        self.known = Read(row._replace(**after), content, now)
        self._has_written = True
        if self._is_token_due(now):
            self._issue(now)
        return True

    def _expected_version(self, row: rows.Row) -> dict[str, int]:
        """Return the version at which even an UPDATE that changes no data must find the row."""
        return {"version": row.version} if self._has_written else {}

    def _write_into_later_epoch(self, read: Read, found: Changes) -> None:
        """Merge what a request of the same user changed that began before the epoch; no cookie.

        Nothing of an anonymous visitor's is merged into the login that followed. Raises UpdateError
        where the epoch is another user's.
        """
        theirs, mine = read.content.identity, self._identity()
        if mine.user is not None and theirs.user != mine.user:
            raise UpdateError
        self.ended = Ended.PASSED
        if mine.user is None and theirs.user is not None:
            return None  # what a visitor does who has just logged in, or did for another to log in
        if HASH_SESSION_KEY in found.keys and self._has_new_password(self._data_before()):
            return run(self._beginning_epoch(is_soft=False, insists=True))
        found = found.without(AUTH_KEYS)
        while found:
            data = found.applied(self._data_in(read.content))
            payload = session_data.dumps(data, self.config)
            content = read.content._replace(saved_at=time.time(), payload=payload)
            row = read.row
            changed = {"data": self._sealed(content), "version": row.version + 1}
            where = {"epoch": row.epoch, "version": row.version}
            if rows.update(self.model, self._pk, changed, **where):
                return self._remember(row._replace(version=row.version + 1))
            read = self._reread()

    def _remember(self, row: rows.Row) -> None:
        """Note what this process has written, for engines that trust copies."""

    def _end_to_write(self, row: rows.Row, found: Changes, now: float) -> float:
        """Return when the session ends if nobody uses it: the row's own end if that is near enough.

        Writes come one after the other, and seven indexes have the end in them: while it stays,
        PostgreSQL changes none of them (HOT).
        """
        end = self._idle_end(now)
        if self._is_login or "_session_expiry" in found.keys:
            return end
        most = min(_END_WAVERS, self.get_expiry_age() * _PART_OF_AGE)
        return row.expires_at if 0 <= end - row.expires_at < most else end

    def _moved_times(self, row: rows.Row, now: float) -> dict[str, Any]:
        """Return the times of a row that is used now: its end, and now and then last_seen_at."""
        if self._is_seen_due(row, now):
            return {"expires_at": self._expires_at, "last_seen_at": now}
        return {"expires_at": self._expires_at}

    def _is_seen_due(self, row: rows.Row, now: float) -> bool:
        return now - row.last_seen_at >= self.config.last_seen_every

    def _overwrite(self, data: dict[str, Any], read: Read, cookie_until: float) -> bool:
        """Bring a row up to a token that holds more; False where it was changed meanwhile."""
        now, row = time.time(), read.row
        part = read.content.identity.part if row.epoch == self._identity().epoch else None
        self.identity = self._identity().but(part=part or keys.new_key_part())
        self._expires_at = self._idle_end(now)
        content = self._content_of(data, now)
        after: dict[str, Any] = {
            "data": self._sealed(content),
            "version": row.version + 1,
            "epoch": self.identity.epoch,
            "expires_at": self._expires_at,
            "cookie_until": cookie_until,
            "last_seen_at": now,
        }
        changed = columns.of(after) | self._auth_columns()
        if not rows.update(self.model, self._pk, changed, epoch=row.epoch, version=row.version):
            return False
        self.known = Read(row._replace(**after), content, now)
        self._issue(now)
        return True

    # --- the token -------------------------------------------------------------------------------

    def _claims_now(self, now: float) -> dict[str, Any]:
        # Of what the row holds, not of what this request may have changed and not saved.
        who = self._identity()
        # Of the key's random part nobody reads anything who cannot read the token.
        part, end = who.part if self._token_is_encrypted() else None, self._token_end(now)
        claims = {"sid": who.sid, "iat": int(now), "exp": end, "ep": who.epoch}
        return claims | {"sk": part, "jkt": self.jkt}

    def _token_end(self, now: float) -> int:
        """Return when the token ends: the idle end is the row's and moves without a new token."""
        end = self._absolute_end()
        return int(max(now + self.config.absolute_age, self._expires_at) if end is None else end)

    def _is_token_due(self, now: float) -> bool:
        """Tell whether the token in hand is behind the session."""
        claims, who = self._claims, self._identity()
        if claims is None or self._token is None or claims.ep != who.epoch:
            return True
        if claims.jkt != self.jkt:
            return True
        end = self._expires_at if who.auth_time is None else self._token_end(now)
        return claims.exp < int(end) or not self._is_token_current(now)


def _login_of(read: Read) -> tuple[str | None, float | None]:
    who = read.content.identity
    return who.user, who.auth_time


def replace_data(data: dict[str, Any], other: dict[str, Any]) -> None:
    """Make `data`, which the request holds, what `other` is."""
    data.clear()
    data.update(other)
