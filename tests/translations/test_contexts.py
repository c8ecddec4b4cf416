"""Messages that Django has as well: without a context, Django's own admin would translate ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import django
from babel.messages.pofile import read_po

from .catalogues import template

STAFF = ("admin/", "models/", "apps.py", "templatetags/", "templates/jwtsession/admin/")


def djangos() -> Iterator[str]:
    """Yield all messages of Django and its contrib apps."""
    for path in Path(django.__file__).parent.rglob("locale/en/LC_MESSAGES/django.po"):
        with path.open("rb") as file:
            for message in read_po(file):
                yield from [message.id] if isinstance(message.id, str) else message.id


def test_no_message_of_the_admin_without_a_context_is_one_of_djangos() -> None:
    theirs = set(djangos())
    assert "History" in theirs
    ours = {
        text
        for message in template()
        if message.context is None and any(name.startswith(STAFF) for name, _ in message.locations)
        for text in ([message.id] if isinstance(message.id, str) else message.id)
    }
    assert len(ours) > 50
    assert ours & theirs == set()
