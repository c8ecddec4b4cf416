"""What a session object knows of itself, in a few frozen values. No I/O."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from ..tokens.claims import Claims
from .rotation import Earlier

if TYPE_CHECKING:
    from .rows import Row

# Key part, time of login, of the last proof, of the last save, epoch of the login, the one that may
# still read, the lengths of the user's id and of the keys that are new.
_HEAD = struct.Struct(">18sdddqqHI")


class Data(dict[str, Any]):
    """Session data; its `repr` shows none: tracebacks go to error trackers."""

    def __repr__(self) -> str:
        return f"<session data of {len(self)} keys>"


class Identity(NamedTuple):
    """Whose session this is, and in which epoch; times are Unix times.

    `user` is the user's id as text, None for an anonymous session. `part` is the random part of
    the session key, None where the token does not say it (and with the engine `cookie`, which has
    none). `login_epoch` is the epoch that the login began: a token
    of it or a later one is of this login.
    """

    sid: str
    epoch: int
    part: str | None = None
    auth_time: float | None = None
    proved_at: float | None = None
    login_epoch: int = 0
    user: str | None = None

    def __repr__(self) -> str:
        """Show neither user nor key: tracebacks go to error trackers."""
        return f"<Identity of {self.sid}, epoch {self.epoch}>"

    def but(self, **changes: Any) -> Identity:
        """Return this identity with some values changed."""
        return self._replace(**changes)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A session of another engine that comes in; times are Unix times, None if nobody knows.

    `environ` has the device, as a request's META has it; `stored` is what its row held, as it was.
    """

    data: dict[str, Any] = field(repr=False)
    expires_at: float
    logged_in_at: float | None = None
    created_at: float | None = None
    seen_at: float | None = None
    environ: Mapping[str, Any] | None = field(default=None, repr=False)
    stored: Any = field(default=None, repr=False)


class Content(NamedTuple):
    """What a row holds under its seal."""

    identity: Identity
    saved_at: float
    payload: bytes
    # The epoch before, whose tokens may still read for a moment: after a proof of identity, not
    # after a login or a new password (0). What was written since, these keys, is not for them.
    reads_on: int = 0
    new_keys: frozenset[str] = frozenset()
    is_newest: bool = True

    def __repr__(self) -> str:
        return f"<Content of {self.identity!r}>"

    def pack(self) -> bytes:
        """Return the content as one string of bytes."""
        who = self.identity
        assert who.part is not None
        user = (who.user or "").encode()
        new = json.dumps(list(map(str, self.new_keys))).encode() if self.new_keys else b""
        head = _HEAD.pack(
            who.part.encode(),
            who.auth_time or 0.0,  # for none
            who.proved_at or 0.0,
            self.saved_at,
            who.login_epoch,
            self.reads_on,
            len(user),
            len(new),
        )
        return head + user + new + self.payload

    @classmethod
    def unpack(cls, sid: str, epoch: int, packed: bytes, is_newest: bool) -> Content:
        """Return the content that was packed."""
        part, auth_time, proved_at, saved_at, login_epoch, reads_on, *lengths = _HEAD.unpack_from(
            packed
        )
        end = _HEAD.size + lengths[0]
        new = packed[end : end + lengths[1]]
        who = Identity(
            sid,
            epoch,
            part.decode(),
            auth_time or None,
            proved_at or None,
            login_epoch,
            packed[_HEAD.size : end].decode() or None,
        )
        new_keys = frozenset(json.loads(new)) if new else frozenset()
        return cls(who, saved_at, packed[end + len(new) :], reads_on, new_keys, is_newest)


class Copy(NamedTuple):
    """The data came from the token's copy of the row, which is good until then."""

    claims: Claims
    until: float


class Read(NamedTuple):
    """The data came from the row, read (or written) at that time."""

    row: Row
    content: Content
    at: float


Known = Copy | Read | None


class Ended(Enum):
    """Whether, and how, the session that the request came with has ended."""

    NOT = "it goes on, or there was none"
    HERE = "this request has ended it"
    NO_TOKEN = "what came is no token at all"  # noqa: S105
    REFUSED = "its token opens nothing; the browser may have a newer one"
    JUST_PASSED = "its epoch passed a moment ago: the newer cookie is on its way"
    PASSED = "its epoch has passed; this request may go on, the cookie is another one's"


@dataclass(frozen=True, slots=True)
class Rotation:
    """What rotation changes in the row once the view is over.

    `column` takes the time of it; `confirms` tells whether the next generation has arrived.
    """

    column: str
    confirms: bool


# What a token of an earlier epoch comes to.
EARLIER = {
    Earlier.READS: Ended.PASSED,
    Earlier.NOTHING: Ended.JUST_PASSED,
    Earlier.VISITOR: Ended.REFUSED,
}
# No cookie of such a request may reach the browser.
SETS_NO_COOKIE = (Ended.JUST_PASSED, Ended.PASSED)
