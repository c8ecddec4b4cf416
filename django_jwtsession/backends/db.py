"""A row for each session, a token in the cookie that names it (DESIGN section 2).

A read is one SELECT by primary key, a write one UPDATE that only succeeds on the version and the
epoch it was based on: parallel requests that change different keys both win. How a row is read is
here, how it is written in writing.py.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from django.contrib.sessions.backends.base import CreateError

from ..exceptions import BadToken, Reason
from ..models.tables import Session
from ..models.times import to_datetime
from ..revocation import ending as revocation
from ..tokens.claims import Claims
from ..tokens.sid import sid_from_uuid
from . import policy, rotation, rows
from .flows import Flow
from .knowledge import EARLIER, Content, Ended, Read
from .opening import Key
from .refusals import refusals
from .row_keys import RowKeys, opens


class SessionStore(RowKeys):
    """A session in the database, ended by deleting its row."""

    has_rows = True

    @classmethod
    def get_model_class(cls) -> Any:
        """Return the model; override it, and its get_session_store_class(), to add columns."""
        return Session

    # --- reading ---------------------------------------------------------------------------------

    def _loading(self) -> Flow[dict[str, Any]]:
        came = self._came_with()
        if came is None:
            return self._be_nobody()
        yield
        return self._from_row(came)

    def _from_row(self, came: Claims | Key) -> dict[str, Any]:
        read = self._read(came.sid)
        if isinstance(came, Claims) and came.holds_all and _is_ahead(came, read):
            return self._adopt(came, read)
        if read is None:
            return self._be_nobody(Ended.REFUSED)
        ended = self._admit(came, read)
        if ended not in (Ended.NOT, Ended.PASSED):
            return self._be_nobody(ended)
        if self._is_without_key(came, read):
            self._earlier = came if isinstance(came, Claims) else None
            return self._be_nobody(Ended.REFUSED)
        self._enter(came, read, ended)
        return self._seen(read)

    def _is_without_key(self, came: Claims | Key, read: Read) -> bool:
        """Tell whether the session is bound to a key that this request does not prove to have."""
        if self.bindings is None or isinstance(came, Key):
            return False
        self.jkt = self.bindings.key_of(came.sid, read.content.identity.user, came.jkt)
        self.cookie_due = self.cookie_due or self.jkt != came.jkt
        return self._is_locked(came.sid, self.jkt)

    def _read(self, sid: str, lock: bool = False) -> Read | None:
        """Return the row of a session and what it holds; None for none, or one under no key."""
        now = time.time()
        try:
            pk = self._pk_of(sid)
        except (BadToken, ValueError):  # no sid at all
            return None
        row = (rows.fetch_locked if lock else rows.fetch)(self.model, pk)
        content = None if row is None else self._unseal(sid, row.epoch, row.data)
        return None if row is None or content is None else Read(row, content, now)

    def read_many(self, sids: set[str]) -> dict[str, Read]:
        """Return what the rows of these sessions hold, as far as there are any; one query."""
        now, found = time.time(), {}
        for pk, row in rows.fetch_many(self.model, [self._pk_of(sid) for sid in sids]).items():
            sid = sid_from_uuid(pk)
            content = self._unseal(sid, row.epoch, row.data)
            if content is not None:
                found[sid] = Read(row, content, now)
        return found

    def _admit(self, came: Claims | Key, read: Read) -> Ended:
        """Judge what came by the row: whether it opens the session."""
        row, content = read.row, read.content
        end = policy.absolute_end(content.identity.auth_time, self.config.absolute_age)
        if read.at >= row.expires_at or (end is not None and read.at >= end):
            return Ended.REFUSED
        # Nobody finds such a row: of a user who fits into no column, or ended as a token alone.
        unseen = row.user_id is None and content.identity.user is not None
        if (unseen or row.cookie_until is not None) and self._is_ended(content):
            return Ended.REFUSED
        if isinstance(came, Key):
            return Ended.NOT if opens(came, content) else Ended.REFUSED
        if came.ep == row.epoch:
            return self._judge(came, read)
        if came.ep > row.epoch:  # the row is out of a backup
            return Ended.REFUSED
        refusals.log(Reason.REVOKED)
        self._earlier = came
        verdict = rotation.judge_earlier(
            row.epoch,
            self._began,
            only_reads=0 < content.reads_on <= came.ep and self._reads_only(),
            uploads=rotation.uploads(self.environ or {}),
        )
        return EARLIER[verdict]

    def _is_ended(self, content: Content) -> bool:
        """Ask the feed whether the session of a row has ended all the same."""
        who = content.identity
        self._feed.refresh(0.0)
        return self._feed.revoked(who.sid, who.user, who.auth_time, who.epoch)

    def _judge(self, came: Claims, read: Read) -> Ended:
        """Judge the generation of a token by the row's; this engine has none."""
        return Ended.NOT

    def _enter(self, came: Claims | Key, read: Read, ended: Ended) -> None:
        """Be the session of a row; what may be seen of its data is _seen()."""
        self.known, self.ended, self.identity = read, ended, read.content.identity
        self._expires_at = read.row.expires_at
        if isinstance(came, Key):
            self.cookie_due = True
            return
        self._claims = came
        if came.ep != read.row.epoch:  # what is written is merged; no proof of before counts
            self.identity = self.identity.but(epoch=came.ep, part=came.sk, proved_at=None)

    # --- a token of the engine `cookie` -----------------------------------------------------------

    def _adopt(self, came: Claims, read: Read | None) -> dict[str, Any]:
        """Make a row of a token that holds the whole session, or bring its row up to it."""
        data = self._unpack(came)
        if self.config.revocation_poll is None or data is None:
            return self._be_nobody(Ended.REFUSED)
        self._feed.refresh(0.0)
        end = policy.absolute_end(came.auth_time, self.config.absolute_age)
        now = time.time()
        if self._is_revoked(came) or now >= came.exp or (end is not None and now >= end):
            refusals.log(Reason.REVOKED)
            return self._be_nobody(Ended.REFUSED)
        self.identity, self._claims = self._identity_in(came), came
        self._session_cache = data
        until = revocation.longest_end(self.config)
        try:
            if read is None:
                self._insert(data, cookie_until=until)
            elif not self._overwrite(data, read, cookie_until=until):
                return self._from_row(came)
        except CreateError:
            # A parallel request was faster; or a row is in the way that no key opens any more. One
            # that was seen after the token was made is of a server with a newer key.
            is_there = self._read(came.sid) is not None
            older = {"epoch__lte": came.ep, "last_seen_at__lt": to_datetime(came.iat + 1)}
            if is_there or rows.delete(self.model, self._pk, **older):
                return self._from_row(came)
            return self._be_over(Ended.REFUSED)
        self.cookie_due = True
        return data

    # --- ending ----------------------------------------------------------------------------------

    def move_out(self) -> bool:
        who, read = self.identity, self.known
        if who is None or not isinstance(read, Read):
            return False
        return self._end_row(who.sid, epoch=read.row.epoch, version=read.row.version)

    def _deleting(self, session_key: str | None) -> Flow[None]:
        yield
        if session_key is None or session_key in (self._token, self.session_key):
            if self._ends_own():
                self.ended = Ended.HERE
            return
        came = self._named(session_key)
        read = None if came is None else self._read(came.sid)
        if came is None or read is None:
            return
        if isinstance(came, Claims) or opens(came, read.content):
            self._end_row(came.sid, came.ep if isinstance(came, Claims) else None)

    def _ends_own(self) -> bool:
        self._go_back()
        if self._logging_out and self._earlier is not None:
            read = self._read(self._earlier.sid)
            if read is None or self._earlier.ep < read.content.identity.login_epoch:
                return False
            return self._end_row(read.content.identity.sid)
        who = self.identity
        if who is None:
            came = self._came_with() if self._given is not None else None
            if came is not None:
                self._from_row(came)
                who = self.identity
        if who is None or (self.ended is Ended.PASSED and not self._logging_out):
            return False
        # Of a login that followed under the same sid, a visitor's logout ends nothing.
        is_for_good = self._logging_out and who.user is not None
        if self._end_row(who.sid, None if is_for_good else who.epoch):
            return True
        # It had ended, or goes on in a later epoch.
        return not rows.exists(self.model, self._pk_of(who.sid))

    def _has_gone_on(self) -> bool:
        who = self._identity()
        read = self._read(who.sid)
        return read is None or read.row.epoch != who.epoch

    def _end_row(self, sid: str, epoch: int | None = None, version: int | None = None) -> bool:
        """Delete the row, if it is still in that epoch, at that version, and tell everybody.

        None: whichever.
        """
        asked = {"epoch": epoch, "version": version}
        where = {name: value for name, value in asked.items() if value is not None}
        pk, known = self._pk_of(sid), self.known
        row = known.row if isinstance(known, Read) else rows.fetch(self.model, pk)
        if row is None or not rows.delete(self.model, pk, **where):
            return False
        end = revocation.row_end(self.config, row.cookie_until)
        revocation.publish([revocation.Entry("s", sid, end, "deleted")])
        again = partial(self._end_row, sid, epoch, version)
        self._end_again_if_undone(rows.written_in_transaction(self.model), again)
        return True


def _is_ahead(came: Claims, read: Read | None) -> bool:
    """Tell whether a token that holds everything is newer than the row, or has none."""
    if read is None or came.ep != read.row.epoch:
        return read is None or came.ep > read.row.epoch
    return came.iat > read.content.saved_at
