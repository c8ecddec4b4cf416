"""django-user-visit: a line a day for each session, by its key."""

from __future__ import annotations

from typing import Any

from django.test import Client
from user_visit.models import UserVisit

from ..site import PAGES, sign_in, user_of
from .conftest import PASSWORD

urlpatterns = PAGES


def test_one_line_for_a_session(browser: Client, ada: Any) -> None:
    sign_in(browser, "ada", PASSWORD)
    for number in range(4):
        browser.get(f"/who/?x={number}")
    assert user_of(browser) == "ada"
    visit = UserVisit.objects.get()
    assert visit.user == ada
    assert len(visit.session_key) == 40
