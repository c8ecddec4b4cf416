"""A project's own session model, as Django documents it: a column of its own, filled by the store.

Settings name this module as SESSION_ENGINE, since the store lives beside its model.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from django_jwtsession.backends.db import SessionStore as DBStore
from django_jwtsession.models import AbstractSession


class AccountSession(AbstractSession):
    """A session with a column for the number of an account."""

    account_id = models.IntegerField(null=True, db_index=True)

    class Meta(AbstractSession.Meta):
        app_label = "tests"

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        return SessionStore


class SessionStore(DBStore):
    """The `db` engine on AccountSession, with a cookie age of one day."""

    @classmethod
    def get_model_class(cls) -> type[AccountSession]:
        return AccountSession

    def create_model_instance(self, data: dict[str, Any]) -> AccountSession:
        instance: AccountSession = super().create_model_instance(data)
        try:
            instance.account_id = int(data["_auth_user_id"])
        except (KeyError, TypeError, ValueError):
            instance.account_id = None
        return instance

    def get_session_cookie_age(self) -> int:
        return 24 * 60 * 60
