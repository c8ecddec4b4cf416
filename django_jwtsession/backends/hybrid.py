"""A row and, in the cookie, a copy of it that is trusted for a minute (DESIGN 2.4).

A read inside that window makes no query; who writes reads the row first. The row is the truth:
whenever it is read, the generation of the token is judged, which is how a stolen copy of the cookie
is found.
"""

from __future__ import annotations

import time
from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError, InterfaceError
from django.db.models import F

from ..models.times import to_datetime
from ..revocation import ending as revocation
from ..tokens.claims import Claims
from ..tokens.sid import uuid_from_sid
from . import data as session_data
from . import policy, rows
from . import rotation as rules
from .copies import WithCopy
from .flows import Flow
from .knowledge import Copy, Ended, Read, Rotation
from .rotation import Generations, Shown, Verdict, judge, uploads


class SessionStore(WithCopy):
    """A session in the database that most requests read from their cookie."""

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
            try:
                self.report_reuse()
            except (DatabaseError, InterfaceError) as error:  # it opens nothing all the same
                if rows.is_broken(self.model, error):
                    raise
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
        self._note_written_over(read)
        return True

    def _go_on_from(self, read: Read) -> None:
        """Go on from a row as it is now; what was due may be what another request has done."""
        before = self.known
        super()._go_on_from(read)
        if isinstance(before, Read) and _generations(before.row) != _generations(read.row):
            self.rotation = None

    def _freshening(self, now: float) -> Flow[bool]:
        if self.sets_no_cookie:
            return False
        if self.rotation is not None and isinstance(self.known, Read):
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

    # --- the token -------------------------------------------------------------------------------

    def refresh_due(self, now: float) -> bool:
        # Inside the window nobody knows the idle end; it is looked at when the row is read.
        return isinstance(self.known, Read) and super().refresh_due(now)

    def _is_token_due(self, now: float) -> bool:
        return True  # each has the version that was just written, and a window of its own

    def _claims_now(self, now: float) -> dict[str, Any]:
        read = self.known
        assert isinstance(read, Read)
        row, content = read.row, read.content
        copied = session_data.pack(self._data_in(content), self.config, content.identity)
        return {
            **super()._claims_now(now),
            **copied,
            "rv": self._window_end(read),
            "gen": row.generation + (row.next_issued_at is not None),
            "ver": row.version,
        }

    def _window_end(self, read: Read) -> int:
        """Return until when the copy is good: never past half of the idle time, if it is extended.

        Else who is active would not be extended, as the row is not looked at.
        """
        age, end = self.get_expiry_age(), read.at + self.config.revalidate_after
        return int(min(end, policy.copy_end(read.row.expires_at, age, self._absolute_end())))

    def _smaller(self, claims: Claims) -> Claims | None:
        return claims._replace(d=None, big=1)


def _generations(row: rows.Row) -> tuple[int, int, float | None]:
    return row.epoch, row.generation, row.next_issued_at
