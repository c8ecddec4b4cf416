"""A row and, in the cookie, a copy of it that is trusted for a minute (DESIGN 2.4).

A read inside that window makes no query; who writes reads the row first. The row is the truth:
whenever it is read, the generation of the token is judged, which is how a stolen copy of the cookie
is found.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError, InterfaceError
from django.db.models import F

from ..exceptions import Reason
from ..models.times import to_datetime
from ..revocation import ending as revocation
from ..tokens.claims import Claims
from ..tokens.sid import uuid_from_sid
from . import data as session_data
from . import db, policy, rows
from . import rotation as rules
from .flows import Flow
from .knowledge import Content, Copy, Data, Ended, Read, Rotation
from .opening import Key
from .process import written
from .refusals import refusals
from .rotation import Generations, Shown, Verdict, judge, uploads
from .writing import replace_data

_NONE: frozenset[str] = frozenset()


class SessionStore(db.SessionStore):
    """A session in the database that most requests read from their cookie."""

    rotation: Rotation | None = None
    _next_look = 0.0

    # --- reading ---------------------------------------------------------------------------------

    def _loading(self) -> Flow[dict[str, Any]]:
        """Return the data in the copy, or in the row where the copy is not to be trusted."""
        came = self._came_with()
        if came is None:
            return self._be_nobody()
        if isinstance(came, Claims):
            if not self._feed.is_quiet():
                yield
                self._feed.refresh()
            is_revoked = self._is_revoked(came)
            if is_revoked and self._feed.end_of(came.sid) == math.inf:
                refusals.log(Reason.REVOKED)
                return self._be_nobody(Ended.REFUSED)
            copied = self._unpack(came)
            if copied is None:
                return self._be_nobody(Ended.REFUSED)
            # Who writes reads the row, or a visitor who sends his first cookie again and again
            # would reset what the session counts.
            if not is_revoked and self._reads_only() and self._is_good(came):
                return self._enter_copy(came, copied)
        yield
        return self._from_row(came)

    def _is_good(self, came: Claims, patience: float = 0.0) -> bool:
        """Tell whether a copy is young, `patience` seconds after its window at most."""
        if came.rv is None or came.ver is None or came.big:
            return False
        if time.time() >= came.rv + patience:
            return False
        if came.jkt is not None and self._is_locked(came.sid, came.jkt):
            return False
        return not written.is_older(came.sid, came.ep, came.ver)

    def _enter_copy(self, came: Claims, copied: Data) -> Data:
        self.known, self._claims, self.jkt = Copy(came, came.rv or 0.0), came, came.jkt
        self.identity, self.ended = session_data.identity_of(came), Ended.NOT
        return copied

    def _from_row(self, came: Claims | Key) -> dict[str, Any]:
        try:
            data = super()._from_row(came)
        except (DatabaseError, InterfaceError):
            copied = self._copy_in_outage(came)
            if copied is None:
                raise
            return copied
        if self.identity is not None:
            self.cookie_due = True
        return data

    def _copy_in_outage(self, came: Claims | Key) -> Data | None:
        patience = self.config.stale_if_error
        if not isinstance(came, Claims) or not self._is_good(came, patience):
            return None
        if self._is_revoked(came):
            return None
        copied = self._unpack(came)
        if copied is None or rows.is_broken(self.model):
            return None
        self._feed.report_outage()
        return self._enter_copy(came, copied)

    def _revalidating(self) -> Flow[None]:
        yield
        self._get_session()
        if isinstance(self.known, Copy):
            self._read_under_copy()
            if isinstance(self.known, Copy) and self.ended is not Ended.PASSED:
                self._be_nobody(Ended.REFUSED)
                self._session_cache = Data()
            return
        yield from super()._revalidating()

    def _is_gone(self, now: float) -> Flow[bool]:
        """Ask the row only when the copy of it (or the last look) is a minute old."""
        if now < self._trusted_until():
            return False
        gone = yield from super()._is_gone(now)
        self._next_look = min(now + self.config.revalidate_after, self._expires_at)
        return gone

    def _trusted_until(self) -> float:
        if isinstance(self.known, Copy):
            return max(self.known.until, self._next_look)
        at = self.known.at if self.known is not None else 0.0
        return max(min(at + self.config.revalidate_after, self._expires_at), self._next_look)

    # --- changing what was read from a copy -------------------------------------------------------

    def _before_change(self) -> frozenset[str]:
        """Read the row before the first change; return the keys that have changed in it meanwhile.

        What this request is about to store under one of those was made from an old value: the row
        keeps its own. Inside an event loop nothing can be read: what is saved does the same.
        """
        if not isinstance(self.known, Copy) or _in_event_loop():
            return _NONE
        return self._read_under_copy()

    async def _abefore_change(self) -> frozenset[str]:
        await self._aget_session()
        if not isinstance(self.known, Copy):
            return _NONE
        return await sync_to_async(self._read_under_copy)()

    def _read_under_copy(self) -> frozenset[str]:
        """Put the row in the place of the copy; what this request has changed stays on top.

        Nothing happens where the row has ended or gone on without this request: saving says so.
        """
        assert isinstance(self.known, Copy)
        claims = self.known.claims
        read = self._read(claims.sid)
        if read is None or read.row.epoch != claims.ep:
            return _NONE
        if self._admit(claims, read) is not Ended.NOT:
            return _NONE
        if read.row.version == claims.ver:  # what was copied is what the row holds
            self._enter(claims, read, Ended.NOT)
            return _NONE
        before, data = self._data_before(), self._get_session()
        found = session_data.changes(before, data, self.config)
        theirs = self._data_in(read.content)
        stale = session_data.changes(before, theirs, self.config).keys
        self._enter(claims, read, Ended.NOT)
        self.cookie_due = True  # with the old copy the next write would meet the same
        replace_data(data, found.without(stale).applied(theirs))
        return stale

    def _data_before(self) -> Data:
        if isinstance(self.known, Copy):
            # The claims as they came in: the dictionary in use may have changed since.
            claims = self.known.claims
            began = max(claims.iat, claims.nbf or 0)
            copied = self._unpack(self._codec.read(self._token or "", began))
            return Data() if copied is None else copied
        return super()._data_before()

    def __setitem__(self, key: str, value: Any) -> None:
        if self._has_no_copy() or key not in self._before_change():
            super().__setitem__(key, value)

    async def aset(self, key: str, value: Any) -> None:
        if key not in await self._abefore_change():
            await super().aset(key, value)

    def __delitem__(self, key: str) -> None:
        if self._has_no_copy() or key not in self._before_change():
            super().__delitem__(key)

    def pop(self, key: str, *args: Any, **kwargs: Any) -> Any:
        if not self._has_no_copy():
            self._before_change()
        return super().pop(key, *args, **kwargs)

    async def apop(self, key: str, *args: Any, **kwargs: Any) -> Any:
        await self._abefore_change()
        return await super().apop(key, *args, **kwargs)

    def setdefault(self, key: str, value: Any) -> Any:  # type: ignore[override]
        if not self._has_no_copy():
            self._before_change()
        return super().setdefault(key, value)

    async def asetdefault(self, key: str, value: Any) -> Any:
        await self._abefore_change()
        return await super().asetdefault(key, value)

    def update(self, dict_: Any) -> None:  # type: ignore[override]
        stale = _NONE if self._has_no_copy() else self._before_change()
        super().update({key: value for key, value in dict(dict_).items() if key not in stale})

    async def aupdate(self, dict_: Any) -> None:
        stale = await self._abefore_change()
        await super().aupdate({k: value for k, value in dict(dict_).items() if k not in stale})

    def _has_no_copy(self) -> bool:
        self._get_session()
        return not isinstance(self.known, Copy)

    # --- rotation --------------------------------------------------------------------------------

    def _judge(self, came: Claims, read: Read) -> Ended:
        """Judge the token's generation by the row's."""
        row = read.row
        if came.gen is None:  # the engine `db` has none
            return Ended.NOT
        verdict = judge(
            Shown(came.ep, came.gen, came.iat, uploads(self.environ or {})),
            Generations(
                row.epoch,
                row.generation,
                row.generation_confirmed_at or row.created_at,
                row.next_issued_at,
            ),
            self._began,
            rotate_after=self.config.rotate_after,
            grace=self.config.rotate_grace,
            settle=rules.SETTLE,
        )
        self._note(verdict)
        if verdict is Verdict.REUSED:
            self.reused = uuid_from_sid(came.sid)
            with suppress(DatabaseError, InterfaceError):  # it opens nothing all the same
                self.report_reuse()
            return Ended.HERE
        if verdict is Verdict.IMPOSSIBLE:
            return Ended.REFUSED
        return Ended.PASSED if verdict is Verdict.UPLOAD else Ended.NOT

    def _note(self, verdict: Verdict) -> None:
        if verdict is Verdict.ISSUE_NEXT:
            self.rotation = Rotation("next_issued_at", confirms=False)
        elif verdict is Verdict.CONFIRM:
            self.rotation = Rotation("generation_confirmed_at", confirms=True)

    def report_reuse(self) -> None:
        """End the session of which `reused` tells, where it has not ended.

        At once, and again after the view: its transaction may have been rolled back.
        """
        revocation.report_reuse(type(self), self.model, self.reused, self.environ or {})

    def _rotate(self, read: Read) -> bool:
        """Carry out what _judge() found, unless a parallel request did; the row is read anew then.

        Not while the view runs: its transaction would hold the row against the other tabs, and
        might be rolled back, with a cookie under way for a generation that nobody knows.
        """
        due, self.rotation = self.rotation, None
        if due is None:
            return False
        row = read.row
        changed: dict[str, Any] = {
            due.column: to_datetime(time.time()),
            "version": F("version") + 1,
        }
        if due.confirms:
            changed |= {"generation": row.generation + 1, "next_issued_at": None}
        where: dict[str, Any] = {"epoch": row.epoch, "generation": row.generation}
        if row.next_issued_at is None:
            where["next_issued_at__isnull"] = True
        else:
            where["next_issued_at"] = to_datetime(row.next_issued_at)
        rows.update_where(self.model, self._pk, changed, **where)
        return True

    def _freshening(self, now: float) -> Flow[bool]:
        if self.rotation is not None and isinstance(self.known, Read) and not self.sets_no_cookie:
            yield
            if self._rotate(self.known):
                return self._read_again(now)
        if isinstance(self.known, Copy):
            yield
            self._read_under_copy()
            return isinstance(self.known, Read)
        return (yield from super()._freshening(now))

    # --- writing ---------------------------------------------------------------------------------

    def _row_to_write(self) -> Read | None:
        if self.known is None and self._given is not None:
            self.load()
        if isinstance(self.known, Copy):
            self._read_under_copy()
            if isinstance(self.known, Copy):
                return self._later_epoch()
        read = self.known if isinstance(self.known, Read) else None
        if read is not None and self._rotate(read) and not self._read_again(time.time()):
            return self._later_epoch()
        return self.known if isinstance(self.known, Read) else None

    def _later_epoch(self) -> Read:
        """Return the row that has gone on without this request. Raises UpdateError for none."""
        read = self._reread()
        if read.row.epoch == self._identity().epoch:  # and does not let this request in
            raise UpdateError
        return read

    def _changes(self, data: dict[str, Any], read: Read) -> session_data.Changes:
        found = super()._changes(data, read)
        if not isinstance(self.known, Copy):
            return found
        stale = session_data.changes(self._data_before(), self._data_in(read.content), self.config)
        return found.without(stale.keys)

    def _expected_version(self, row: rows.Row) -> dict[str, int]:
        # A version that moved may be a rotation: the cookie must not go back behind it.
        return {"version": row.version}

    def _wrote(self) -> None:
        assert isinstance(self.known, Read)
        self._remember(self.known.row)
        super()._wrote()

    def _remember(self, row: rows.Row) -> None:
        until = time.time() + self.config.revalidate_after
        written.note(self._identity().sid, row.epoch, row.version, until)

    # --- the token -------------------------------------------------------------------------------

    def refresh_due(self, now: float) -> bool:
        # Inside the window nobody knows the idle end; it is looked at when the row is read.
        return isinstance(self.known, Read) and super().refresh_due(now)

    def is_due(self, now: float) -> bool:
        if isinstance(self.known, Copy):  # inside the window
            return self.reissue_due(now)
        return super().is_due(now)

    def _is_token_due(self, now: float) -> bool:
        return True  # each has the version that was just written, and a window of its own

    def _claims_now(self, now: float) -> Claims:
        read = self.known
        assert isinstance(read, Read)
        row = read.row
        claims = (
            super()
            ._claims_now(now)
            ._replace(
                rv=self._window_end(read),
                gen=row.generation + (row.next_issued_at is not None),
                ver=row.version,
            )
        )
        content: Content = read.content
        return session_data.pack(claims, self._data_in(content), self.config, content.identity)

    def _window_end(self, read: Read) -> int:
        """Return until when the copy is good: never past half of the idle time, if it is extended.

        Else who is active would not be extended, as the row is not looked at.
        """
        age, end = self.get_expiry_age(), read.at + self.config.revalidate_after
        return int(min(end, policy.copy_end(read.row.expires_at, age, self._absolute_end())))

    def _smaller(self, claims: Claims) -> Claims | None:
        return claims._replace(d=None, big=1)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
