"""A row and, in the cookie, a copy of it that is trusted for a minute (DESIGN 2.4).

A read inside that window makes no query; a write is one UPDATE on the version that was copied. The
row is the truth: whenever it is read, the generation of the token is judged, which is how a stolen
copy of the cookie is found.
"""

from __future__ import annotations

import time
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError
from django.db.models import F

from ..exceptions import BadToken
from ..models.times import to_datetime
from ..revocation import ending as revocation
from ..revocation.feed import get_feed
from ..tokens.claims import Claims
from ..tokens.sid import uuid_from_sid
from . import data as session_data
from . import db, policy, rotation, rows

# The versions that this process wrote, and until when an older copy could still be trusted. Between
# processes a copy can be REVALIDATE_AFTER seconds behind; a process trusts none older than its own.
_written: dict[str, tuple[int, float]] = {}
_next_purge = 0.0


class SessionStore(db.SessionStore):
    """A session in the database that most requests read from their cookie."""

    # The claims whose copy of the row this request reads, where it did not read the row.
    _copy: Claims | None = None
    # Until when that copy was to be trusted: a write on top of it does not judge its generation.
    _copy_until: float | None = None
    # The data of a row that a write took from the copy.
    _copied: dict[str, Any] | None = None
    # What rotation changes in the row once the request is over: the column that takes the time of
    # it, the others, and what must still hold of the row.
    _rotation: tuple[str, dict[str, Any], dict[str, Any]] | None = None

    # --- reading ---------------------------------------------------------------------------------

    def load(self) -> dict[str, Any]:
        """Return the data in the copy, or in the row where the copy is not to be trusted."""
        claims = self._open()
        if claims is None:
            return self._accept(None, None)
        get_feed().refresh()
        if self._known_end(claims):
            return self._accept(None, None)
        data = self._from_copy(claims)
        if data is None and self._is_unreadable(claims):
            return self._accept(None, None)
        return self._accept(claims, self._load_row(claims) if data is None else data)

    async def aload(self) -> dict[str, Any]:
        """See load(); no thread hop inside the window."""
        claims = self._open()
        if claims is None:
            return self._accept(None, None)
        await get_feed().arefresh()
        if self._known_end(claims):
            return self._accept(None, None)
        data = self._from_copy(claims)
        if data is None and self._is_unreadable(claims):
            return self._accept(None, None)
        if data is None:
            data = await sync_to_async(self._load_row)(claims)
        return self._accept(claims, data)

    def _known_end(self, claims: Claims) -> bool:
        """Tell whether there is no row to look for, and look whether that is news."""
        if not get_feed().is_ended(claims.sid):
            return False
        self._look_for_end(claims)
        return True

    def _from_copy(self, claims: Claims, patience: float = 0.0) -> dict[str, Any] | None:
        """Return the data that the token copied, None where it is not to be trusted.

        Arguments: `patience` (seconds) is how long after its window the copy is still good enough.
        """
        if claims.rv is None or claims.ver is None or claims.big:
            return None
        if time.time() >= claims.rv + patience or self._revoked(claims):
            return None
        if claims.ver < _written.get(claims.sid, (0, 0.0))[0]:
            return None
        self._copy, self._copy_until = claims, claims.rv
        self._auth_time = claims.auth_time
        try:
            return session_data.unpack(claims, self.config)
        except BadToken:
            return None

    def _is_unreadable(self, claims: Claims) -> bool:
        """Tell, and log, that what should be the data of a copy is none: no token of ours."""
        return type(claims.d) is str and self._unpack(claims) is None

    def _load_row(self, claims: Claims) -> dict[str, Any] | None:
        self._copy = self._copy_until = None
        try:
            data = super()._load_row(claims)
            if data is None or not self._judge(claims):
                return None
        except DatabaseError:
            self._row = None
            data = self._from_copy(claims, patience=self.config.stale_if_error)
            if data is None:
                raise
            get_feed().report_outage()
            return data
        self.cookie_due = True
        return data

    def _use(self, row: rows.Row, now: float) -> None:
        super()._use(row, now)
        self._copy = None

    def _reset(self) -> None:
        super()._reset()
        self._copy = self._copy_until = self._rotation = self._copied = None

    def _reload(self) -> dict[str, Any]:
        claims = self._open()
        return self._accept(claims, None if claims is None else self._load_row(claims))

    def is_revoked(self) -> bool:
        get_feed().refresh()
        return self._distrusted() and super().is_revoked()

    async def ais_revoked(self) -> bool:
        await get_feed().arefresh()
        return self._distrusted() and await super().ais_revoked()

    def _distrusted(self) -> bool:
        return self._claims is not None and self._revoked(self._claims)

    # --- rotation --------------------------------------------------------------------------------

    def _judge(self, claims: Claims) -> bool:
        """Judge the token's generation by the row's; False where it opens nothing."""
        row = self._row
        assert row is not None
        verdict = rotation.judge(
            rotation.Shown(0, claims.gen or 0, claims.iat, rotation.uploads(self.environ or {})),
            rotation.Generations(
                0, row.generation, row.generation_confirmed_at or row.created_at, row.next_issued_at
            ),
            self._began,
            rotate_after=self.config.rotate_after,
            grace=self.config.rotate_grace,
            settle=rotation.SETTLE,
        )
        where = {"generation": row.generation, "next_issued_at__isnull": row.next_issued_at is None}
        if verdict is rotation.Verdict.ISSUE_NEXT:
            self._rotation = "next_issued_at", {}, where
        elif verdict is rotation.Verdict.CONFIRM:
            following = {"generation": row.generation + 1, "next_issued_at": None}
            self._rotation = "generation_confirmed_at", following, where
        if self._rotation is not None:
            self._row_at = 0.0  # no cookie goes out before the row is changed and read again
        self.withholds_cookie = verdict is rotation.Verdict.UPLOAD
        if verdict is rotation.Verdict.REUSED:
            self.reused = uuid_from_sid(claims.sid)
            self.report_reuse()
        return verdict not in (rotation.Verdict.REUSED, rotation.Verdict.IMPOSSIBLE)

    def report_reuse(self) -> None:
        """End the session of which `reused` tells, where it has not ended.

        At once, and again after the view: its transaction may have been rolled back.
        """
        revocation.report_reuse(type(self), self.model, self.reused, self.environ or {})

    def _rotate(self) -> None:
        """Carry out what _judge() found, unless a parallel request did; the row is read anew then.

        Not while the view runs: its transaction would hold the row against the other tabs, and
        might be rolled back, with a cookie under way for a generation that nobody knows.
        """
        if self._rotation is not None:
            timed, columns, where = self._rotation
            self._rotation = None
            columns |= {timed: to_datetime(time.time()), "version": F("version") + 1}
            rows.update_where(self.model, self._pk, columns, **where)

    def _fresh(self, now: float) -> bool:
        self._rotate()
        return super()._fresh(now)

    # --- writing ---------------------------------------------------------------------------------

    def _attach(self) -> None:
        """Write on top of the copy, without reading the row: its version guards the UPDATE."""
        claims = self._copy
        if claims is None:
            self.load()
        if self._copy is not None and self._row is None:
            self._row = self._copied_row(self._copy)

    def _copied_row(self, claims: Claims) -> rows.Row | None:
        # The data as it came in: the dictionary in use may have changed since.
        # It may have expired by now, too; it had not when it began.
        began = max(claims.iat, claims.nbf or 0)
        fresh = self.config.codec.read(self.session_key or "", began)
        self._copied = self._unpack(fresh)
        if self._copied is None or claims.ver is None:
            return None
        return rows.Row(
            data=None,
            version=claims.ver,
            user_id=None,
            created_at=claims.iat,
            authenticated_at=claims.auth_time,
            last_seen_at=0.0,
            expires_at=claims.rv or 0.0,
            generation=claims.gen or 0,
            generation_confirmed_at=None,
            next_issued_at=None,
        )

    def _data_of(self, row: rows.Row) -> dict[str, Any]:
        if row.data is None:
            assert self._copied is not None
            return self._copied
        return super()._data_of(row)

    def _write(self, data: dict[str, Any], row: rows.Row) -> None:
        self._rotate()
        super()._write(data, row)

    def _expected_version(self, row: rows.Row) -> int | None:
        # A version that moved may be a rotation: the cookie must not go back behind it.
        return row.version

    def _wrote(self) -> None:
        assert self._row is not None
        assert self._sid is not None
        _remember(self._sid, self._row.version, time.time() + self.config.revalidate_after)
        super()._wrote()

    def cycle_key(self) -> None:
        self._get_session()
        auth_time = self._kept_auth_time()
        super().cycle_key()
        self._auth_time = auth_time

    def _moved(self, data: dict[str, Any]) -> None:
        row = rows.fetch(self.model, self._pk)
        if row is not None:
            self._follow(row, time.time())
            super()._moved(data)

    # --- the token -------------------------------------------------------------------------------

    def refresh_due(self, now: float) -> bool:
        # Inside the window nobody knows the idle end; it is looked at when the row is read.
        return self._row is not None and super().refresh_due(now)

    def is_due(self, now: float) -> bool:
        if self._row is None:  # inside the window
            return self.reissue_due(now)
        return super().is_due(now)

    def touch_due(self, now: float) -> bool:
        return self._copy is None and super().touch_due(now)

    def _token_due(self, now: float) -> bool:
        return True  # each has the version that was just written, and a window of its own

    def _row_claims(self, data: dict[str, Any] | None, now: float) -> Claims:
        row = self._row
        assert row is not None
        until = self._copy_until or self._row_at + self.config.revalidate_after
        assert self._sid is not None
        claims = Claims(
            self._sid,
            int(now),
            self._token_end(now),
            rv=int(min(until, self._copy_end(row))),
            gen=row.generation + (row.next_issued_at is not None),
            ver=row.version,
        )
        copied = self._data_of(row) if data is None else data
        return session_data.pack(claims, copied, self.config, row.authenticated_at)

    def _copy_end(self, row: rows.Row) -> float:
        return policy.copy_end(row.expires_at, self.get_expiry_age(), self._absolute_end())

    def _too_large(
        self, claims: Claims, data: dict[str, Any], size: int, now: float
    ) -> tuple[str, Claims]:
        return self._seal(claims._replace(d=None, big=1), now)


def _remember(sid: str, version: int, until: float) -> None:
    """Trust no copy that is older than `version` until none is trusted any more."""
    global _next_purge
    now = time.time()
    if now >= _next_purge:
        _next_purge = until
        for old, (_, end) in list(_written.items()):
            if end < now:
                _written.pop(old, None)
    _written[sid] = version, until
