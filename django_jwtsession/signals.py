"""Signals for projects; what each sends is said beside it. All are sent after the fact.

What a receiver of session_created, token_reused or new_device raises is logged and breaks nothing.
"""

from django.dispatch import Signal

# A user has begun a session: each login, but not that of the user who is logged in already. Nothing
# is sent of anonymous sessions. It is sent with user_logged_in, before the response: the row gets
# its user when that is saved, and the transaction of the request, if any, may be rolled back.
# sender: the engine class; sid: str; user_id: the user's pk; environ: META of the login.
session_created = Signal()

# sender: the model or engine class; sid: str; user_id: the user's pk or None; by: the user who
# ended it or None; reason: str.
session_revoked = Signal()

# A copy of a cookie was used that had been replaced long ago, or whose device's key was not proved,
# and the session has been ended.
# sender: the engine class; sid: str; user_id: None for an anonymous session; environ: META of the
# request that used the copy; event: the SessionEvent.
token_reused = Signal()

# A user has logged in with a browser, system and kind of device that the history did not have;
# never sent for the first login of a user.
# sender: the engine class; sid: str; user_id; environ: META of the login; event: the SessionEvent.
new_device = Signal()
