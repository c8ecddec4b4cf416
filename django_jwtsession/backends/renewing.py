"""Beginning an epoch of a session with a row, and extending it: what only moves its times."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils.crypto import constant_time_compare

from ..models.times import to_datetime
from ..revocation import ending as revocation
from ..tokens import session_key as keys
from . import columns, rows
from . import data as session_data
from .data import Changes
from .flows import Flow, arun, run
from .knowledge import Data, Ended, Read
from .opening import is_late, new_epoch
from .writing import RowWriting, replace_data


class RowRenewing(RowWriting):
    """The part of the engines with rows that renews a session."""

    # --- epochs -----------------------------------------------------------------------------------

    def _cycling(self) -> Flow[None]:
        yield
        data = self._get_session()
        if is_hash_upgrade(data):
            return
        if self.identity is None:
            # Where its epoch has passed, login() decides which session goes on.
            if self._earlier is None and not self.sets_no_cookie:
                self._create(data)
            self.modified = True
            return
        run(self._beginning_epoch(is_soft=False))
        self.modified = True

    def _proving(self) -> Flow[None]:
        yield
        self._get_session()
        if self.identity is not None:
            run(self._beginning_epoch(is_soft=True, proves=True))
            self.modified = True

    def _beginning_epoch(
        self, is_soft: bool, *, proves: bool = False, insists: bool = False
    ) -> Flow[None]:
        yield
        data = self._get_session()
        self._go_back()
        try:
            read = self._row_to_write()
        except UpdateError:
            read = None
        found = session_data.changes(self._data_before(), data, self.config) if read else None
        while read is not None and found is not None:
            theirs, mine = read.content.identity, self._identity()
            if theirs.epoch != mine.epoch:
                if mine.user is None or theirs.user != mine.user:
                    return self._let_go(data)
                if not (is_soft or insists):  # what came before that epoch is worthless already
                    self.ended = Ended.PASSED
                    return None
                self.ended = Ended.NOT  # a proof comes before what was known
            if self._swap_epoch(read, found, data, is_soft, proves):
                return
            read = self._read(mine.sid)
        if self._identity().user is not None and self.ended is not Ended.HERE:
            raise SessionInterrupted("The session has ended while the request was running.")
        self._create(data)

    def _swap_epoch(
        self, read: Read, found: Changes, data: dict[str, Any], is_soft: bool, proves: bool
    ) -> bool:
        """Begin an epoch on top of a row; False where it was changed meanwhile."""
        if read is not self.known:
            replace_data(data, found.applied(self._data_in(read.content)))
        now, row = time.time(), read.row
        who = read.content.identity.but(epoch=new_epoch(row.epoch, now), part=keys.new_key_part())
        if proves:
            who = who.but(proved_at=round(now, 3))
        before, self.identity = self._before(), who
        self._settle_auth(data, now)
        earlier = (row.epoch, found.keys) if is_soft else ()
        content = self._content_of(data, now, *earlier)
        after: dict[str, Any] = {
            "data": self._sealed(content),
            "epoch": who.epoch,
            "version": row.version + 1,
            "generation": 0,
            "generation_confirmed_at": now,
            "next_issued_at": None,
        }
        where = {"epoch": row.epoch, "version": row.version}
        if not rows.update(self.model, self._pk, columns.of(after), **where):
            self.identity = before.identity
            return False
        self._note_written_over(read, before)
        self.known = Read(row._replace(**after), content, now)
        self.began_epoch, self.ended = True, Ended.NOT
        end = revocation.row_end(self.config, row.cookie_until)
        revocation.begin_epoch(who.sid, who.epoch, end, is_soft)
        self._issue(now)
        return True

    def _let_go(self, data: dict[str, Any]) -> None:
        """Leave a session that somebody has logged in to: login() decides which one goes on."""
        earlier = self._claims
        self._be_nobody(Ended.JUST_PASSED)
        self._earlier, self._session_cache = earlier, Data(data)

    def _take_up(self, data: dict[str, Any]) -> bool:
        earlier = self._earlier
        read = None if earlier is None else self._read(earlier.sid)
        self._earlier = None
        self.ended = Ended.NOT
        if read is None or read.at >= read.row.expires_at:
            return False
        if read.content.identity.user != session_data.user_of(data):
            return False
        theirs = self._data_in(read.content)
        theirs.pop(session_data.POLICY_KEY, None)  # that of the login before
        merged = {**theirs, **data}
        self.known, self.identity = read, read.content.identity
        self._expires_at = read.row.expires_at
        replace_data(data, merged)
        return True

    # --- extending -------------------------------------------------------------------------------

    def _extending(self, now: float) -> Flow[bool]:
        yield
        assert isinstance(self.known, Read)
        read = self.known
        if not read.content.is_newest:  # who never writes must outlive the removal of a secret
            self._write(self._get_session(), read)
            return not self.sets_no_cookie
        self._expires_at = self._idle_end(now)
        after = self._moved_times(read.row, now)
        if not rows.update(self.model, self._pk, columns.of(after), epoch=read.row.epoch):
            self.ended = Ended.PASSED
            return False
        self.look_for_change = "last_seen_at" in after
        self.known = read._replace(row=read.row._replace(**after))
        if self._is_token_due(now):
            self._issue(now)
        return True

    def _freshening(self, now: float) -> Flow[bool]:
        """Read the row again where the answer is late: it may be gone, or ahead of this request."""
        self._go_back()
        if self.sets_no_cookie:
            return False
        if self._is_fresh(now):
            return True
        yield
        return self._read_again(now)

    def _is_fresh(self, now: float) -> bool:
        """Tell whether the row was read just now, and has no later epoch that is known here."""
        if not isinstance(self.known, Read) or is_late(self.known.at, now):
            return False
        who, feed = self._identity(), self._feed
        knows_all = feed.is_complete or not feed.polls()
        return not (knows_all and feed.is_ended(who.sid, who.epoch))

    def _read_again(self, now: float) -> bool:
        """Go on from the row as it is now; False where it has ended, or its epoch has passed."""
        self._go_back()
        read = self._read_living(now)
        return read is not None and self._goes_on_in(read)

    def _read_living(self, now: float) -> Read | None:
        """Return the row as it is now, in whichever epoch; None where the session has ended."""
        read = None if self.identity is None else self._read(self.identity.sid)
        return None if read is None or now >= read.row.expires_at else read

    def _goes_on_in(self, read: Read) -> bool:
        if read.row.epoch != self._identity().epoch:
            self.ended = Ended.PASSED
            return False
        self._go_on_from(read)
        return True

    def _handing_over(self) -> Flow[bool]:
        yield
        now = time.time()
        if not self._read_again(now) or not self.began_epoch:  # it was rolled back
            return False
        self._issue(now)
        return True

    def _go_on_from(self, read: Read) -> None:
        """Go on from a row as it is now; what this request changed and has not saved stays."""
        data = self._get_session()
        self._go_back()
        if self.known is None or isinstance(self.known, Read):
            before = self._data_before() if self.known is not None else Data()
            found = session_data.changes(before, data, self.config)
            replace_data(data, found.applied(self._data_in(read.content)))
        self.known, self._expires_at = read, read.row.expires_at
        self.identity = read.content.identity

    def _revalidating(self) -> Flow[None]:
        yield
        self._get_session()
        if self.identity is None:
            return
        self._go_back()
        read = self._read_living(time.time())
        if read is None:  # also of an epoch in which this request has no part
            self._be_over(Ended.REFUSED)
        else:
            self._goes_on_in(read)

    def _reissuing(self) -> Flow[bool]:
        """See reissue(); notes on the way that the session was seen."""
        if self.touch_due(time.time()):
            yield
            if not self.touch():
                return False
        return (yield from super()._reissuing())

    def touch_due(self, now: float) -> bool:
        return isinstance(self.known, Read) and self._is_seen_due(self.known.row, now)

    def touch(self) -> bool:
        """Note in the row that the session was seen now; False where it has ended."""
        return run(self._touching())

    async def atouch(self) -> bool:
        """See touch()."""
        return await arun(self._touching())

    def _touching(self) -> Flow[bool]:
        yield
        assert isinstance(self.known, Read)
        now, row = time.time(), self.known.row
        self.known = self.known._replace(row=row._replace(last_seen_at=now))
        self.look_for_change = True
        seen = {"last_seen_at": to_datetime(now)}
        return rows.update(self.model, self._pk, seen, epoch=row.epoch)

    def _is_gone(self, now: float) -> Flow[bool]:
        yield
        who = self._identity()
        read = self._read(who.sid)
        if read is None or read.row.epoch != who.epoch or now >= read.row.expires_at:
            return True
        self._expires_at = read.row.expires_at
        return False


def is_hash_upgrade(data: dict[str, Any]) -> bool:
    """Tell whether get_user() cycles the key, since the user's hash was made with a fallback key.

    That is no proof of anything: every parallel request does it.
    """
    stored = data.get(HASH_SESSION_KEY)
    if not isinstance(stored, str) or not stored:
        return False
    model = get_user_model()
    fallbacks: Any = getattr(model, "get_session_auth_fallback_hash", None)
    if fallbacks is None or not settings.SECRET_KEY_FALLBACKS:
        return False
    try:
        pk = model._meta.pk.to_python(data[SESSION_KEY])
        user = model._default_manager.filter(pk=pk).first()
    except Exception:  # an id that is none of this model
        return False
    return user is not None and any(constant_time_compare(stored, one) for one in fallbacks(user))
