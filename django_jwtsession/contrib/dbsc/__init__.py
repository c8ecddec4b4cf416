"""Device Bound Session Credentials: a stolen cookie dies within minutes (docs/dbsc.md)."""

from __future__ import annotations

from .decorators import device_bound as device_bound
