"""What the engines share, complete; and making a session's token, which fits into a cookie."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ..exceptions import SessionTooLarge
from ..models.place import current_place
from ..tokens.claims import Claims
from ..tokens.sid import new_sid
from . import data as session_data
from .knowledge import Data, Identity, Incoming
from .opening import new_epoch
from .options import options
from .watching import Watching


class TokenSession(Watching):
    """A session whose cookie is a token (DESIGN section 2): what the engines share.

    Built in steps: api.py has Django's methods, opening.py reads what came, belonging.py says whose
    it is, expiry.py knows the clock, watching.py tells when it is over, this one issues tokens.
    """

    def _claims_now(self, now: float) -> dict[str, Any]:
        """Return the claims of a token issued now, by name."""
        raise NotImplementedError

    def move_in(self, old: Incoming) -> None:
        """Be the session that another engine has had: its data, its end, its user and device.

        Raises SessionTooLarge if it fits into no cookie (engine `cookie`), and whatever the
        serializer raises.
        """
        raise NotImplementedError

    def move_out(self) -> bool:
        """End the session for one of another engine; False if it is not as it was read any more."""
        raise NotImplementedError

    def _be_old(self, old: Incoming) -> dict[str, Any]:
        """Take over what is known of another engine's session; return its data."""
        now = time.time()
        self.identity = Identity(new_sid(), new_epoch(0, now))
        self.environ, self.passive, self._expires_at = old.environ, True, old.expires_at
        if old.logged_in_at is not None:  # of this user, by this package
            user = session_data.user_of(old.data)
            self.identity = self.identity.but(user=user, auth_time=old.logged_in_at)
        data = self._session_cache = Data(old.data)
        return data

    def _smaller(self, claims: Claims) -> Claims | None:
        """Return claims in place of those that are too large for a cookie, None for none."""
        return None

    def _issue(self, now: float) -> None:
        """Make a new token of this session. Raises SessionTooLarge."""
        token, claims = self._seal(Claims(**self._claims_now(now)), now)
        size = len(options.name) + len(token)
        limit = self.config.max_cookie_size
        if size > limit:
            smaller = self._smaller(claims)
            if smaller is None:
                raise SessionTooLarge(
                    size, limit, self._biggest(), self._fits_compressed(claims, now)
                )
            token, claims = self._seal(smaller, now)
        if not isinstance(claims.d, str):
            self._codec.keep(token, claims, session_data.unpack(claims, self.config))
        self._token, self._claims = token, claims
        self._given = token

    def _seal(self, claims: Claims, now: float) -> tuple[str, Claims]:
        """Return a token, and the claims that are in it."""
        issue = self._codec.issue
        try:
            return issue(claims, now), claims
        except ValueError:  # NaN, a lone surrogate: Django's serializer takes them, JSON does not
            if not isinstance(claims.d, dict):
                raise
            claims = claims._replace(d=session_data.as_text(claims.d, self.config))
            return issue(claims, now), claims

    def _fits_compressed(self, claims: Claims, now: float) -> bool:
        """Tell whether the session would fit with COMPRESS, where that is off."""
        if self.config.compress or not self._token_is_encrypted():
            return False
        codec = replace(self.config, compress=True).codec_in(current_place())
        token = codec.issue(claims, now)
        return len(options.name) + len(token) <= self.config.max_cookie_size

    def _token_is_encrypted(self) -> bool:
        return self.config.algorithms[0] == "A256GCM"

    def _biggest(self) -> list[tuple[str, int]]:
        """Return the names of the three longest values, longest first, and their bytes."""
        dumps = self.serializer().dumps
        found: dict[str, Any] = self._get_session()
        sizes = [(str(key), len(dumps({"": value}))) for key, value in found.items()]
        return sorted(sizes, key=lambda item: -item[1])[:3]
