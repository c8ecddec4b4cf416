"""What the tests of the feed share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import caches

from django_jwtsession.models import Revocation
from django_jwtsession.revocation import announcements, asking, learning, publishing, reader
from django_jwtsession.revocation import feed as feed_module
from django_jwtsession.revocation import shared as shared_module


@pytest.fixture
def polling(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    """As on a site, not in Django's test environment; the monotonic clock moves with the other."""
    monkeypatch.setattr(feed_module, "in_test_environment", lambda: False)
    monkeypatch.setattr(publishing, "in_test_environment", lambda: False)
    for module in (asking, feed_module, announcements, publishing, shared_module):
        monkeypatch.setattr(module, "monotonic", lambda: time.time())
    # No jitter: an interval is a second.
    monkeypatch.setattr(asking, "_SHORTEST_INTERVAL", 1.0)


Line = Callable[..., Revocation]


@pytest.fixture
def line(db: None) -> Line:
    """Insert a line as another process does: `line("sid")`, `line("7", kind="u", before=1.5)`."""

    def line(name: str, *, age: float = 0, lives: float = 3600, **more: Any) -> Revocation:
        now = time.time()
        values = {"kind": "s", "created_at": now - age, "expires_at": now + lives} | more
        return Revocation.objects.create(name=name, **values)

    return line


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a hundred lines is a large one: it is read in pages of ten."""
    monkeypatch.setattr(reader, "PAGE", 10)
    monkeypatch.setattr(learning, "_NEWEST", 5)


@pytest.fixture
def shared(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The cache that REVOCATION_CACHE names, and nothing in it."""
    monkeypatch.setattr(shared_module, "monotonic", lambda: time.time())
    settings.CACHES = {
        name: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}
        for name in ("default", "shared")
    }
    settings.JWTSESSION = {"REVOCATION_CACHE": "shared"}
    for each in caches.all():
        each.clear()
    return caches["shared"]
