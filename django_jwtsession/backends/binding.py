"""What an app says of sessions that are bound to a key in the device; no app is known here.

`TokenSession.bindings` is None, or such an object: see contrib/dbsc.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .opening import Opening


class Bindings(Protocol):
    """Asked when a session is opened, and by the lists."""

    def key_of(self, sid: str, user: str | None, jkt: str | None) -> str | None:
        """Return the thumbprint of the key that a session opens with alone, None for none.

        Arguments: `user` is the id of the session's user as text; `jkt` is the thumbprint in its
        token, if that says one. May ask the database.
        """

    def opens(self, session: Opening, sid: str, jkt: str) -> bool:
        """Tell whether the request has a proof of the key that is fresh enough; asks no database.

        Arguments: `session` has the `environ` of the request, None for server code.
        """

    def age(self, session: Any) -> float | None:
        """Return the seconds since the device last proved to have the session's key.

        None where the request brings no proof that is good now. True even if it is 0.
        """

    def bound(self, sids: Collection[str]) -> Collection[str]:
        """Return which of some sessions are bound."""
