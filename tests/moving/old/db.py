"""A session engine with the habits of django-user-sessions' one.

It takes address and user agent, notes the user when that key is stored, has no get_model_class(),
makes a row for each key that it does not know, and inserts a row again that was deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import auth
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

from . import models

Session: Any = models.Session


class SessionStore(SessionBase):
    def __init__(
        self, session_key: str | None = None, user_agent: str | None = None, ip: str | None = None
    ) -> None:
        super().__init__(session_key)
        self.user_agent = (user_agent or "")[:200]
        self.ip = ip
        self.user_id: Any = None

    def __setitem__(self, key: str, value: Any) -> None:
        if key == auth.SESSION_KEY:
            self.user_id = value
        super().__setitem__(key, value)

    if TYPE_CHECKING:  # Django's, but for its stubs
        _get_new_session_key: Any
        _get_or_create_session_key: Any
        _get_session: Any

    def load(self) -> dict[str, Any]:
        rows = Session.objects.filter(expire_date__gt=timezone.now())
        row = rows.filter(session_key=self.session_key).first()
        if row is None:
            self.create()
            return {}
        self.user_id = row.user_id
        data: dict[str, Any] = self.decode(row.session_data)
        return data

    def exists(self, session_key: str) -> bool:
        return bool(Session.objects.filter(session_key=session_key).exists())

    def create(self) -> None:
        self._session_key = self._get_new_session_key()
        self.save(must_create=True)
        self.modified = True
        self._session_cache: dict[str, Any] = {}

    def save(self, must_create: bool = False) -> None:
        Session(
            session_key=self._get_or_create_session_key(),
            session_data=self.encode(self._get_session(no_load=must_create)),
            expire_date=self.get_expiry_date(),
            user_agent=self.user_agent,
            user_id=self.user_id,
            ip=self.ip,
        ).save(force_insert=must_create)

    def delete(self, session_key: str | None = None) -> None:
        Session.objects.filter(session_key=session_key or self.session_key).delete()
