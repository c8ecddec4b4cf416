"""The tokens that were read a moment ago: a page's requests all bring the same one.

Only authentic tokens with valid claims come in here. What depends on the time is judged again at
each look, and whether the session has ended is the engines' question, as ever.
"""

from __future__ import annotations

import marshal
from typing import Any

from .bounded import Recent
from .claims import Claims

SIZE = 512
# Of one token's data: what is more than a cookie can hold was compressed.
MAX_DATA = 8192
_D = Claims._fields.index("d")

# The claims before `d`, `d` itself, and those after it. Of `d` each reader gets a copy of their
# own, from the bytes of marshal: a third of the time that JSON takes.
_Kept = tuple[tuple[Any, ...], bytes | None, tuple[Any, ...]]


class RecentTokens(Recent[_Kept]):
    """Claims by token.

    A dictionary compares tokens only where their hashes agree, 64 bits under a key of the process
    (SipHash): how long a look takes tells nothing of the tokens in it.
    """

    def __init__(self, size: int = SIZE) -> None:
        super().__init__(size)

    def get(self, token: str) -> Claims | None:
        """Return the claims of `token`, with data that is the caller's own; None if not known."""
        kept = self.look(token)
        if kept is None:
            return None
        head, data, tail = kept
        own = None if data is None else marshal.loads(data)  # noqa: S302  # written by put()
        return Claims._make((*head, own, *tail))

    def put(self, token: str, claims: Claims) -> None:
        """Keep the `claims` that were read from `token`."""
        # In version 2: a later one tells where two values are one object, and tokens do not.
        data = None if claims.d is None else marshal.dumps(claims.d, 2)
        if data is None or len(data) <= MAX_DATA:
            self.keep(token, (claims[:_D], data, claims[_D + 1 :]))
