"""Reading a session from the copy in its cookie, and changing what was read there (DESIGN 2.4)."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, Error, InterfaceError

from ..exceptions import Reason
from ..tokens.claims import Claims
from . import data as session_data
from . import db, rows
from .flows import Flow
from .knowledge import Copy, Data, Ended, Read, Rotation
from .opening import Key
from .process import written
from .refusals import refusals
from .writing import replace_data

_NONE: frozenset[str] = frozenset()


class WithCopy(db.SessionStore):
    """A session with a row and a copy of it: the copy is trusted until its window ends."""

    # What there is to rotate once the view is over.
    rotation: Rotation | None = None
    _next_look = 0.0
    # The keys that had changed in the row when it was read under its copy.
    _stale = _NONE

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
            if (
                not is_revoked
                and self._reads_only()
                and (self._is_good(came) or self._may_not_wait(came))
            ):
                return self._enter_copy(came, copied)
        yield
        return self._from_row(came)

    def is_due(self, now: float) -> bool:
        if isinstance(self.known, Copy):  # inside the window nothing else can be
            return self.cookie_due or not self._codec.is_current(self._token or "", now)
        return super().is_due(now)

    def _is_good(self, came: Claims, patience: float = 0.0) -> bool:
        """Tell whether a copy is young, `patience` seconds after its window at most."""
        if came.rv is None or came.ver is None or came.big:
            return False
        if time.time() >= came.rv + patience:
            return False
        if came.jkt is not None and self._is_locked(came.sid, came.jkt):
            return False
        newest = written.get(came.sid)
        return newest is None or newest[:2] <= (came.ep, came.ver)

    def _may_not_wait(self, came: Claims) -> bool:
        """Tell whether to go on with a copy that is due: to ask for the row may take long."""
        return self._feed.is_out_of_reach() and self._is_good(came, self.config.stale_if_error)

    def _enter_copy(self, came: Claims, copied: Data) -> Data:
        self.known, self._claims, self.jkt = Copy(came, came.rv or 0.0), came, came.jkt
        self.identity, self.ended = self._identity_in(came), Ended.NOT
        return copied

    def _from_row(self, came: Claims | Key) -> dict[str, Any]:
        try:
            data = super()._from_row(came)
        except (DatabaseError, InterfaceError) as error:
            copied = self._copy_in_outage(came, error)
            if copied is None:
                raise
            return copied
        if self.identity is not None:
            self.cookie_due = self.cookie_due or self._is_cookie_behind(came)
        return data

    def _is_cookie_behind(self, came: Claims | Key) -> bool:
        """Tell whether to send a new copy; where none fits, a cookie for what has changed."""
        if not isinstance(came, Claims) or not came.big or not isinstance(self.known, Read):
            return True
        return came.ver != self.known.row.version or self.rotation is not None

    def _copy_in_outage(self, came: Claims | Key, error: Error) -> Data | None:
        patience = self.config.stale_if_error
        if not isinstance(came, Claims) or not self._is_good(came, patience):
            return None
        if self._is_revoked(came):
            return None
        copied = self._unpack(came)
        if copied is None or rows.is_broken(self.model, error):
            return None
        self._feed.report_outage()
        return self._enter_copy(came, copied)

    def _revalidating(self) -> Flow[None]:
        yield
        self._get_session()
        if isinstance(self.known, Copy):
            self._read_under_copy()
            if isinstance(self.known, Copy):
                self._let_copy_go(self.known.claims)
            return
        yield from super()._revalidating()

    def _let_copy_go(self, claims: Claims) -> None:
        """Be what the row says of who came with this copy, whom it does not let in any more."""
        read = self._read(claims.sid)
        if read is None:
            self._be_over(Ended.REFUSED)
        elif claims.ep < read.row.epoch:
            self._have_passed(read.row.epoch)
        else:
            ended = self._admit(claims, read)
            self._be_over(Ended.REFUSED if ended is Ended.NOT else ended)  # it lacks the key

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

    def _remember(self, row: rows.Row) -> None:
        """Note that this process knows of a newer row than the copies that are still good."""
        until = time.time() + self.config.revalidate_after
        written.note(self._identity().sid, row.epoch, row.version, until)

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

        Nothing happens where the row has ended, has gone on without this request, or opens with a
        key alone of which there is no proof: saving says so.
        """
        if not isinstance(self.known, Copy):  # another task of this request has done it meanwhile
            return self._stale
        claims = self.known.claims
        read = self._read(claims.sid)
        if read is None or read.row.epoch != claims.ep:
            return _NONE
        # A binding to a key may be younger than the copy: what goes out now is of that key.
        if self._admit(claims, read) is not Ended.NOT or self._is_without_key(claims, read):
            return _NONE
        if read.row.version == claims.ver:  # what was copied is what the row holds
            self._enter(claims, read, Ended.NOT)
            return _NONE
        self._remember(read.row)  # or who sends this copy again is judged by it again
        before, data = self._data_before(), self._get_session()
        found = session_data.changes(before, data, self.config)
        theirs = self._data_in(read.content)
        stale = self._stale = session_data.changes(before, theirs, self.config).keys
        self._enter(claims, read, Ended.NOT)
        self.cookie_due = True  # with the old copy the next write would meet the same
        replace_data(data, found.without(stale).applied(theirs))
        return stale

    def _data_before(self) -> Data:
        if isinstance(self.known, Copy):
            # The claims as they came in: the dictionary in use may have changed since.
            claims = self.known.claims
            began = max(claims.iat, claims.nbf or 0)
            copied = self._unpack(self._codec.recall(self._token or "", began))
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


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
