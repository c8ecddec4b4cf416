"""A session engine whose model is of no installed app."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends.base import SessionBase


class SessionStore(SessionBase):
    @classmethod
    def get_model_class(cls) -> Any:
        raise RuntimeError("Model class doesn't declare an explicit app_label")
