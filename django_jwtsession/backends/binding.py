"""What an app says of sessions that are bound to a key in the device; no app is known here.

`TokenSession.bindings` is None, or such an object: see contrib/dbsc.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from .knowledge import Identity


class Bindings(Protocol):
    """Asked when a session is opened, and by the lists."""

    def key_of(self, sid: str, user: str | None, jkt: str | None) -> str | None:
        """Return the thumbprint of the key that a session opens with alone, None for none.

        Arguments: `user` is the id of the session's user as text; `jkt` is the thumbprint in its
        token, if that says one. May ask the database.
        """

    def opens(self, session: Any, sid: str, jkt: str) -> bool:
        """Tell whether the request has a proof of the key that is fresh enough; asks no database.

        Arguments: `session` has the `environ` of the request, None for server code.
        """

    def age(self, session: Any) -> float | None:
        """Return the seconds since the device last proved to have the session's key.

        None where the request brings no proof that is good now. True even if it is 0.
        """

    def bound(self, sids: Collection[str]) -> Collection[str]:
        """Return which of some sessions are bound."""


class Bound:
    """The part of TokenSession that asks."""

    bindings: ClassVar[Bindings | None] = None
    identity: Identity | None
    # The thumbprint of the key without a proof of which this session opens nowhere: the claim `jkt`
    # of its tokens.
    jkt: str | None = None
    # The request's cookies, where the middleware gave them; the proof is one of them.
    cookies: Mapping[str, str] | None = None

    @property
    def device_bound(self) -> float | None:
        """Seconds since the device last proved to have the key that this session is bound to.

        None for a session that is bound to none, and where the proof is not good any more. Only
        contrib.dbsc binds sessions. Loads the session, as `sid` does.
        """
        return None if self.bindings is None else self.bindings.age(self)

    def is_locked(self) -> bool:
        """Tell whether the proof of the device's key that opened this session is too old now."""
        return self.identity is not None and self._is_locked(self.identity.sid, self.jkt)

    def _is_locked(self, sid: str, jkt: str | None) -> bool:
        """Tell whether a session opens with a key alone of which this request has no proof."""
        if jkt is None or self.bindings is None:
            return False
        return not self.bindings.opens(self, sid, jkt)
