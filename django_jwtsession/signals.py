"""Signals for projects; what each sends is said beside it. All are sent after the fact."""

from django.dispatch import Signal

# sender: the model or engine class; sid: str; user_id: the user's pk or None; by: the user who
# ended it or None; reason: str.
session_revoked = Signal()

# A copy of a cookie that had been replaced long ago was used, and the session has been ended.
# sender: the engine class; sid: str; user_id; environ: META of the request that used the copy;
# event: the SessionEvent.
token_reused = Signal()

# A user has logged in with a browser, system and kind of device that the history did not have;
# never sent for the first login of a user. What a receiver raises is logged and breaks no login.
# sender: the engine class; sid: str; user_id; environ: META of the login; event: the SessionEvent.
new_device = Signal()
