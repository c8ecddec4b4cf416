"""German, French and Spanish: complete, compiled, and seen on the pages."""

from __future__ import annotations

import re
from datetime import timedelta
from io import BytesIO

import pytest
from babel.messages.mofile import read_mo
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone, translation

from django_jwtsession.pages.phrases import ago, ahead
from tests.translations.catalogues import (
    LANGUAGES,
    compiled,
    is_translated,
    po_file,
    read,
    template,
)

placeholders = re.compile(r"%\(\w+\)[sd]").findall


def ids(catalogue):
    return {(message.context, message.id) for message in catalogue if message.id}


@pytest.mark.parametrize("language", LANGUAGES)
def test_has_every_message_of_the_sources_and_no_other(language):
    assert ids(read(language)) == ids(template()), "make messages"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_with_its_placeholders(language):
    for message in read(language):
        if not message.id:
            continue
        assert is_translated(message), message.id
        assert not message.fuzzy, message.id
        original = message.id if isinstance(message.id, str) else message.id[-1]
        forms = [message.string] if isinstance(message.string, str) else message.string
        for form in forms:
            assert sorted(placeholders(form)) == sorted(placeholders(original)), form


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_file_holds_the_same(language):
    with po_file(language).with_suffix(".mo").open("rb") as file:
        found = [(m.context, m.id, m.string) for m in read_mo(file) if m.id]
    wanted = read_mo(BytesIO(compiled(read(language))))
    assert found == [(m.context, m.id, m.string) for m in wanted if m.id]


@pytest.mark.parametrize(
    ("language", "past", "future"),
    [
        ("en", "3 days ago", "in 2 hours"),
        ("de", "vor 3 Tagen", "in 2 Stunden"),
        ("fr", "il y a 3 jours", "dans 2 heures"),
        ("es", "hace 3 días", "en 2 horas"),
    ],
)
def test_times_are_said_as_the_language_says_them(language, past, future):
    with translation.override(language):
        assert ago(timezone.now() - timedelta(days=3, hours=1)).replace("\xa0", " ") == past
        assert ahead(timezone.now() + timedelta(hours=2, minutes=9)).replace("\xa0", " ") == future


@pytest.mark.parametrize(
    ("language", "title"),
    [("de", "Ihre Sitzungen"), ("fr", "Vos sessions"), ("es", "Sus sesiones")],
)
def test_pages_speak_the_language_of_the_browser(db, settings, language, title):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    client = Client(headers={"accept-language": language})
    client.force_login(User.objects.create_user("ada"))
    with translation.override(None):  # the middleware leaves its own to the tests that follow
        page = client.get("/sessions/").content.decode()
    assert title in page
    assert f'<html lang="{language}"' in page
