"""The example's stream: it ends when its session is ended."""

from __future__ import annotations

import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from django_jwtsession.revocation import ending as revocation
from tests.conftest import ENGINES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("example_project.urls"),
]


@pytest.mark.parametrize("name", ENGINES)
async def test_stream_ends_within_two_seconds_of_the_end_of_its_session(
    name: str, settings: Any, django_user_model: Any
) -> None:
    settings.SESSION_ENGINE = ENGINES[name]
    user = await sync_to_async(django_user_model.objects.create_user)("ada")
    client = AsyncClient()
    await client.aforce_login(user)
    response: Any = await client.get("/events")
    chunks = aiter(response.streaming_content)
    assert await anext(chunks) == b"event: open\ndata:\n\n"
    assert await anext(chunks) == b": the session goes on\n\n"
    await revocation.arevoke_user_sessions(user)
    ended = time.monotonic()
    rest = [chunk async for chunk in chunks]
    assert time.monotonic() - ended < 2
    assert rest == [b"event: ended\ndata:\n\n"]


async def test_stream_is_closed_to_anonymous_visitors() -> None:
    response = await AsyncClient().get("/events")
    assert response.status_code == 403
