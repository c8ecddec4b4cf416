"""A row for each session, a token in the cookie that names it (DESIGN section 2).

A read is one SELECT by primary key, a write one UPDATE that only succeeds on the version it was
based on: parallel requests that change different keys both win.
"""

from __future__ import annotations

import time
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import IntegrityError
from django.utils.functional import cached_property

from ..devices import clients as devices
from ..models.times import to_datetime
from ..revocation import ending as revocation
from ..revocation.feed import MOVED, get_feed
from ..tokens.claims import Claims
from ..tokens.sid import new_sid, uuid_from_sid
from . import columns, rows
from . import data as session_data
from .base import FRESH_FOR, TokenSession

_OPTIMISTIC_TRIES = 3


class SessionStore(TokenSession):
    """A session in the database, ended by deleting its row."""

    # The row as this request knows it, and since when.
    _row: rows.Row | None = None
    _row_at = 0.0
    _login_marked = False

    @classmethod
    def get_model_class(cls) -> Any:
        """Return the model; override it, and its get_session_store_class(), to add columns."""
        from ..models.tables import Session

        return Session

    @cached_property
    def model(self) -> Any:
        return self.get_model_class()

    @property
    def _pk(self) -> Any:
        assert self._sid is not None
        return uuid_from_sid(self._sid)

    # --- reading ---------------------------------------------------------------------------------

    def load(self) -> dict[str, Any]:
        """Return the data in the row that the token names; {} and no key where there is none."""
        claims = self._open()
        return self._accept(claims, None if claims is None else self._load_row(claims))

    def _load_row(self, claims: Claims) -> dict[str, Any] | None:
        row = rows.fetch(self.model, uuid_from_sid(claims.sid))
        if row is None:
            row = self._without_row(claims)
        now = time.time()
        if row is None or now >= row.expires_at:
            return None
        self._use(row, now)
        end = self._absolute_end()
        if end is not None and now >= end:
            return None
        return self._data_of(row)

    def _use(self, row: rows.Row, now: float) -> None:
        self._row, self._row_at = row, now
        self._auth_time = row.authenticated_at
        self._expires_at = row.expires_at

    def _reset(self) -> None:
        super()._reset()
        self._row = None

    def decode_row(self, data: bytes | memoryview) -> dict[str, Any]:
        """Return the session data in a row, {} where the serializer cannot read it."""
        try:
            decoded = self.serializer().loads(bytes(data))
        except Exception:  # a serializer may raise anything; Django's engines begin anew as well
            return {}
        return decoded if isinstance(decoded, dict) else {}

    def _without_row(self, claims: Claims) -> rows.Row | None:
        """Find out why there is no row; make it where the token holds the whole session."""
        if self.config.revocation_poll is None:
            return None
        get_feed().refresh(0.0)
        self._look_for_end(claims)
        # A token of the cookie engine has no version. A site has just moved to this engine.
        whole = claims.ver is None and (claims.sub is not None or claims.d is not None)
        if not whole or self._revoked(claims) or time.time() >= claims.exp:
            return None
        return self._adopt(claims)

    def _adopt(self, claims: Claims) -> rows.Row | None:
        data = self._unpack(claims)
        if data is None:
            return None
        self._session_cache = self._accept(claims, data)
        self._auth_time = claims.auth_time
        try:
            self._insert(data)
        except CreateError:  # a parallel request was faster
            return rows.fetch(self.model, self._pk)
        self.cookie_due = True
        return self._row

    def exists(self, session_key: str | None) -> bool:
        """Tell whether a token names a session that is there."""
        claims = self._claims_of(session_key)
        return claims is not None and rows.exists(self.model, uuid_from_sid(claims.sid))

    def is_revoked(self) -> bool:
        return self._sid is not None and not rows.exists(self.model, self._pk)

    def revalidate(self) -> None:
        data = self._get_session()
        if self._row is None:
            self._attach()
        before = {} if self._row is None else self._data_of(self._row)
        found = session_data.changes(before, data, self.config)
        self._session_cache = self._reload()
        if self._sid is not None and found:
            self._session_cache = session_data.apply(found, self._session_cache)

    def _reload(self) -> dict[str, Any]:
        return self.load()

    async def arevalidate(self) -> None:
        """See revalidate()."""
        await sync_to_async(self.revalidate)()

    async def ais_revoked(self) -> bool:
        """See is_revoked()."""
        return await sync_to_async(self.is_revoked)()

    # --- writing ---------------------------------------------------------------------------------

    def create(self) -> None:
        """Begin a new session with a row of its own."""
        data = self._get_session(no_load=True)
        self.overtaken = False
        while True:
            self._sid = new_sid()
            try:
                self._insert(data)
            except CreateError:  # a sid that is taken
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Write the session.

        Raises UpdateError where its row is gone, CreateError where `must_create` finds it there.
        """
        data = self._get_session(no_load=must_create)
        if must_create:
            claims = self._claims_of(self.session_key)
            if claims is None:
                return self.create()
            self._sid = claims.sid
            return self._insert(data)
        if self.session_key is not None and self._row is None:
            self._attach()
        if self.overtaken:
            raise UpdateError
        if self._row is None:
            return self.create()
        self._write(data, self._row)

    def _attach(self) -> None:
        """Learn of the row that the data belongs to: it was replaced unseen, by clear()."""
        self.load()

    def _insert(self, data: dict[str, Any]) -> None:
        now = time.time()
        self._settle_auth(data, now)
        self._expires_at = self._idle_end(now)
        instance = self.create_model_instance(data)
        try:
            rows.insert(instance)
        except IntegrityError:
            if rows.exists(self.model, self._pk):
                raise CreateError from None
            raise  # a rule of the project's own columns
        self._use(rows.row_of(instance), now)
        self._issue(data, now)
        self._wrote()

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """Return a new instance of the model for this session with `data`.

        As in Django's `db` engine, override it to fill columns of your own; they are written with
        each save.
        """
        now = to_datetime(time.time())
        return self.model(
            id=self._pk,
            data=self.serializer().dumps(data),
            created_at=now,
            last_seen_at=now,
            expires_at=to_datetime(self._expires_at),
            **columns.of(columns.auth(self.model, data, self._auth_time)),
            **self._device_columns(),
        )

    def _write(self, data: dict[str, Any], row: rows.Row) -> None:
        """Bring what this request changed into the row, whoever else writes to it meanwhile."""
        found = session_data.changes(self._data_of(row), data, self.config)
        for _ in range(_OPTIMISTIC_TRIES):
            if self._compare_and_swap(row, found, data):
                return self._wrote()
            row = self._reread()
        with rows.locked(self.model):
            if not self._compare_and_swap(self._reread(lock=True), found, data):
                raise UpdateError
        self._wrote()

    def _data_of(self, row: rows.Row) -> dict[str, Any]:
        """Return the data in `row`, to be compared and not to be changed."""
        assert row.data is not None
        return self.decode_row(row.data)

    def _reread(self, lock: bool = False) -> rows.Row:
        row = (rows.fetch_locked if lock else rows.fetch)(self.model, self._pk)
        if row is None:
            raise UpdateError
        return row

    def _compare_and_swap(self, row: rows.Row, found: dict[str, Any], data: dict[str, Any]) -> bool:
        """Write `found` on top of `row`; False where the row is not at that version any more."""
        if row is not self._row:
            merged = session_data.apply(found, self._data_of(row))
            data.clear()
            data.update(merged)
        now = time.time()
        self._settle_auth(data, now)
        self._expires_at = self._idle_end(now)
        expected = self._expected_version(row)
        after = self._moved_times(row, now)
        signed_in = self._auth_time != row.authenticated_at
        if found or signed_in:
            expected = row.version
            after |= {"data": self.serializer().dumps(data), "version": row.version + 1}
            if signed_in or self._login_marked or SESSION_KEY in found:
                after |= columns.auth(self.model, data, self._auth_time)
        changed = columns.of(after) | self._own_columns(data)
        if self._login_marked:
            changed |= self._device_columns()
        seen_at = row.last_seen_at
        row = row._replace(**after)
        where = {} if expected is None else {"version": expected}
        if not rows.update(self.model, self._pk, changed, **where):
            if expected is None:
                raise UpdateError
            return False
        self._row, self._row_at = row, now
        self.look_for_change = 0 < seen_at < row.last_seen_at  # a copy in a cookie does not know it
        if self._token_due(now):
            self._issue_claims(self._row_claims(data, now), data, now)
        return True

    def _expected_version(self, row: rows.Row) -> int | None:
        """Return the version at which even an UPDATE that changes no data must find the row."""
        return None

    def _wrote(self) -> None:
        """A row was written: what follows from a login is due now, when others can see it."""
        if self._login_marked:
            self._login_marked = False
            revocation.enforce_limit(
                self.model, self._row and self._row.user_id, self._session_cache
            )

    def _moved_times(self, row: rows.Row, now: float) -> dict[str, Any]:
        """Return the times of a row that is used now: its end, and now and then last_seen_at."""
        if self._is_seen_due(row, now):
            return {"expires_at": self._expires_at, "last_seen_at": now}
        return {"expires_at": self._expires_at}

    def _is_seen_due(self, row: rows.Row, now: float) -> bool:
        return now - row.last_seen_at >= self.config.last_seen_every

    def _device_columns(self) -> dict[str, Any]:
        if self.environ is None:
            return {}
        return devices.columns(self.environ, self.config)

    def _own_columns(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the columns that a project's own model adds to AbstractSession."""
        names = columns.own_names(self.model)
        if not names:
            return {}
        instance = self.create_model_instance(data)
        return {name: getattr(instance, name) for name in names}

    # --- extending -------------------------------------------------------------------------------

    def _extend(self, now: float) -> bool:
        assert self._row is not None
        self._expires_at = self._idle_end(now)
        after = self._moved_times(self._row, now)
        if not rows.update(self.model, self._pk, columns.of(after)):
            return False
        self.look_for_change = "last_seen_at" in after
        self._row = self._row._replace(**after)
        if self._token_due(now):
            self._issue(self._get_session(), now)
        return True

    def _fresh(self, now: float) -> bool:
        """Read the row again where the answer is late: it may be gone, or ahead of this request."""
        if self._row is not None and now - self._row_at <= FRESH_FOR:
            return True
        row = rows.fetch(self.model, self._pk)
        if row is None or now >= row.expires_at:
            return False
        self._follow(row, now)
        return True

    def _follow(self, row: rows.Row, now: float) -> None:
        """Go on from `row`, read anew; what this request changed and has not saved stays."""
        data = self._get_session()
        if self._row is None:
            self._attach()
        if self._row is not None and self._row.data != row.data:
            found = session_data.changes(self._data_of(self._row), data, self.config)
            merged = session_data.apply(found, self._data_of(row))
            data.clear()
            data.update(merged)
        self._use(row, now)

    def reissue(self) -> bool:
        """See TokenSession; notes on the way that the session was seen."""
        if self.touch_due(time.time()) and not self.touch():
            return False
        return super().reissue()

    def touch_due(self, now: float) -> bool:
        return self._row is not None and self._is_seen_due(self._row, now)

    def touch(self) -> bool:
        """Note in the row that the session was seen now; False where it has ended."""
        assert self._row is not None
        now = time.time()
        self._row = self._row._replace(last_seen_at=now)
        self.look_for_change = True
        return rows.update(self.model, self._pk, {"last_seen_at": to_datetime(now)})

    async def atouch(self) -> bool:
        """See touch()."""
        return await sync_to_async(self.touch)()

    async def arefresh(self) -> bool:
        """See refresh()."""
        return await sync_to_async(self.refresh)()

    async def areissue(self) -> bool:
        """See reissue()."""
        now = time.time()
        if self._row is not None and now - self._row_at <= FRESH_FOR and not self.touch_due(now):
            return self.reissue()
        return await sync_to_async(self.reissue)()

    # --- the token -------------------------------------------------------------------------------

    def _token_claims(self, data: dict[str, Any], now: float) -> Claims:
        # Of what the row holds, not of what this request may have changed and not saved.
        return self._row_claims(None, now)

    def _row_claims(self, data: dict[str, Any] | None, now: float) -> Claims:
        """Return the claims of a token for the row; `data` is what it holds, if that is at hand."""
        assert self._sid is not None
        return Claims(self._sid, int(now), self._token_end(now))

    def _token_end(self, now: float) -> int:
        """Return when the token ends: the idle end is the row's and moves without a new token."""
        end = self._absolute_end()
        return int(max(now + self.config.absolute_age, self._expires_at) if end is None else end)

    def _token_due(self, now: float) -> bool:
        """Tell whether the token in hand is behind the session."""
        if self._claims is None or self.session_key is None:
            return True
        end = self._expires_at if self._auth_time is None else self._token_end(now)
        return self._claims.exp < int(end) or not self.config.codec.is_current(
            self.session_key, now
        )

    # --- ending ----------------------------------------------------------------------------------

    def cycle_key(self) -> None:
        """Move the row to a new sid; tokens of the old one name nothing.

        Raises SessionInterrupted (400) where a login has ended meanwhile: its data must not come
        back under another name.
        """
        data = self._get_session()
        if self._sid is None:
            return self.create()
        old, sid = self._sid, new_sid()
        if not rows.update(self.model, self._pk, {"id": uuid_from_sid(sid)}):
            if self._auth_user is not None:
                raise SessionInterrupted("The session has ended while the request was running.")
            self._reset()
            self.create()
        else:
            self._sid = sid
            self._moved(data)
            if self.modified and self._row is not None:
                self._write(data, self._row)
            end = revocation.row_end(self.config, None, None)
            revocation.publish([revocation.Entry("s", old, end, MOVED)])
        self.overtaken = False
        self.modified = True

    def _moved(self, data: dict[str, Any]) -> None:
        self._issue(data, time.time())

    async def acycle_key(self) -> None:
        """See cycle_key()."""
        await sync_to_async(self.cycle_key)()

    def _end(self, claims: Claims, reason: str) -> None:
        pk = uuid_from_sid(claims.sid)
        row = self._row if claims.sid == self._sid else None
        row = row or rows.fetch(self.model, pk)
        if row is not None and rows.delete(self.model, pk):
            end = revocation.row_end(self.config, row.created_at, row.authenticated_at)
            revocation.publish([revocation.Entry("s", claims.sid, end, reason)])

    def mark_login(self, environ: Any) -> None:
        super().mark_login(environ)
        self._login_marked = True
