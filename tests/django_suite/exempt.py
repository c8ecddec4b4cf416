"""Django's tests that cannot hold for an engine, each with the reason.

A test that stands here and passes is reported: the list stays honest. For the stateless engine
there is a second proof: each of its entries fails with Django's own `signed_cookies` as well.
"""

from __future__ import annotations

_NO_ROW = "the test reads the session's row, and a stateless session has none"

STATELESS = {"test_empty_session_saved": _NO_ROW}
ROWS = {
    "test_session_str": "str() of a session names its device and never shows a token",
}
# With our middleware: what goes out is a token with the copy, which opens the same session.
ROWS_WITH_OURS = ROWS | {"test_empty_session_saved": "the cookie is a token, not the session key"}
