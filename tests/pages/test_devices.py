"""Devices on the user's pages: together, by name, told apart; each page in one language."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django
import pytest
from babel.messages.pofile import read_po
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_jwtsession.models import SessionEvent

from ..conftest import cookie
from ..factories import PASSWORD, SessionFactory, UserFactory, browser
from ..translations.catalogues import template

pytestmark = pytest.mark.django_db

PAGE = "/sessions/"
HISTORY = "/sessions/history/"
LINUX = {"user-agent": "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/2 Firefox/149.0"}
IPHONE = {
    "user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1"
}


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.LOGIN_URL = "login"


def page_of(client: Client, path: str = PAGE) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return str(response.content.decode())


def text(body: str) -> str:
    body = re.sub(r"<[^>]+>", " ", body.partition("<body>")[2])
    return " ".join(body.replace("\xa0", " ").split())


def sid_of(client: Client) -> str:
    return str(client.session.sid)


def name(client: Client, sid: str, name: str) -> Any:
    return client.post(reverse("jwtsession:name", args=[sid]), {"name": name})


# --- together and apart --------------------------------------------------------------------------


def test_heading_says_how_many_sessions_there_are(engine: str) -> None:
    user = UserFactory()
    browser(user)
    assert "Your sessions (2)" in text(page_of(browser(user)))


def test_sessions_of_one_device_stand_together_whatever_the_version(db_engine: None) -> None:
    user = UserFactory()
    client = browser(user, headers=IPHONE)
    now = timezone.now()
    for hours, words in ((1, "Firefox 149"), (2, "Chrome 150"), (3, "Firefox 148")):
        seen = now - timedelta(hours=hours)
        SessionFactory(user=user, browser=words, last_seen_at=seen, created_at=seen)
    devices = client.get(PAGE).context["devices"]
    assert [(one.title, len(one.sessions)) for one in devices] == [
        ("Safari 26 on iOS", 1),
        ("Firefox on Ubuntu", 2),
        ("Chrome 150 on Ubuntu", 1),
    ]
    assert "Firefox on Ubuntu 2 sessions Firefox 149 on Ubuntu" in text(page_of(client))


def test_devices_that_nobody_can_tell_are_not_taken_for_one(db_engine: None) -> None:
    user = UserFactory()
    client = browser(user)
    SessionFactory.create_batch(2, user=user, browser="", os="", device="")
    assert [len(one.sessions) for one in client.get(PAGE).context["devices"]] == [1, 1, 1]


def test_expiry_is_said_where_it_is_known(engine: str, clock: Any) -> None:
    user = UserFactory()
    browser(user, headers=IPHONE)
    page = text(page_of(browser(user, headers=LINUX)))
    assert page.count("Expires in 1 week") == (1 if engine == "cookie" else 2)


def test_every_button_has_a_label_of_its_own(db_engine: None, clock: Any) -> None:
    user = UserFactory()
    client = browser(user)
    SessionFactory.create_batch(3, user=user)
    labels = re.findall(r'aria-label="(End session: [^"]+)"', page_of(client))
    assert len(labels) == len(set(labels)) == 3
    assert labels[0] == "End session: Firefox 149 on Ubuntu, 192.0.2.1, Signed in just now"
    assert labels[1] == f"{labels[0]}, 2"


def test_times_say_their_zone_and_are_exact_for_machines(
    db_engine: None, settings: Any, clock: Any
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    user = UserFactory()
    client = browser(user)
    SessionFactory(
        user=user, last_seen_at=timezone.now(), created_at=datetime(2025, 12, 30, 3, 4, tzinfo=UTC)
    )
    assert 'datetime="2025-12-30T03:04:00Z" title="Dec. 30, 2025, 4:04 a.m. CET"' in page_of(client)
    SessionEvent.objects.update(created_at=datetime(2026, 7, 2, tzinfo=UTC))
    assert ">July 2, 2026, 2 a.m. CEST</time>" in page_of(client, HISTORY)


def test_pages_have_no_inline_script_or_style(engine: str) -> None:
    user = UserFactory()
    browser(user)
    client = browser(user)
    ask = f"{PAGE}{sid_of(client)}"
    paths = (PAGE, HISTORY, "/confirm/", f"{PAGE}end-all/", f"{ask}/name/", f"{ask}/end/")
    for path_ in paths:
        page = page_of(client, path_)
        assert "style=" not in page
        assert "<style" not in page
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        assert not re.search(r"\son\w+=", page)


# --- the site's pages ----------------------------------------------------------------------------


def test_password_page_of_the_site_is_linked_and_no_other(db_engine: None, settings: Any) -> None:
    client = browser(UserFactory())
    assert "Change password" not in page_of(client)
    settings.ROOT_URLCONF = "tests.urls_password"
    assert '<a href="/password/">Change password</a>' in page_of(client)


# --- names ---------------------------------------------------------------------------------------


def test_device_gets_a_name_and_the_focus_comes_back_to_its_card(engine: str) -> None:
    user = UserFactory()
    client, phone = browser(user, headers=LINUX), browser(user, headers=IPHONE)
    response = name(client, sid_of(phone), "  My \u202e phone ")
    assert response.headers["Location"] == f"{PAGE}#session-{sid_of(phone)}"
    page = page_of(client)
    assert f'id="session-{sid_of(phone)}" tabindex="-1"' in page
    assert "The device is now called My phone." in text(page)
    assert "My phone Safari 26 on iOS" in text(page)
    assert "Device named My phone" in text(page_of(client, HISTORY))
    assert "My phone This device" in text(page_of(phone))
    name(client, sid_of(phone), "")
    assert "My phone" not in text(page_of(client)).replace("called My phone", "")


def test_name_comes_back_with_the_next_login_on_the_device(engine: str) -> None:
    user = UserFactory()
    client, other = browser(user), browser(user)
    name(client, sid_of(client), "Laptop")
    client.post("/logout/")
    client.post("/login/", {"username": user.username, "password": PASSWORD})
    assert "Laptop This device" in text(page_of(client))
    assert "Laptop This device" not in text(page_of(other))


def test_name_given_elsewhere_is_remembered_once_the_device_shows_the_page(engine: str) -> None:
    user = UserFactory()
    client, other = browser(user), browser(user)
    name(client, sid_of(other), "Tablet")
    page_of(other)
    other.post("/logout/")
    other.post("/login/", {"username": user.username, "password": PASSWORD})
    assert "Tablet This device" in text(page_of(other))


def test_name_of_one_user_is_not_that_of_another_in_the_same_browser(engine: str) -> None:
    user, other = UserFactory(), UserFactory()
    client = browser(user)
    name(client, sid_of(client), "Laptop of Ann")
    assert "Laptop of Ann This device" in text(page_of(client))
    client.post("/logout/")
    client.post("/login/", {"username": other.username, "password": PASSWORD})
    assert "Laptop of Ann" not in text(page_of(client))
    client.cookies["sessionid-device"] = "forged"
    client.post("/login/", {"username": other.username, "password": PASSWORD})
    assert "forged" not in text(page_of(client))


def test_stranger_on_the_same_kind_of_device_does_not_stand_under_its_name(engine: str) -> None:
    user = UserFactory()
    client, stranger = browser(user, headers=IPHONE), browser(user, headers=IPHONE)
    name(client, sid_of(client), "My phone")
    groups = client.get(PAGE).context["devices"]
    assert [(one.title, len(one.sessions)) for one in groups] == [
        ("My phone", 1),
        ("Safari 26 on iOS", 1),
    ]
    assert sid_of(stranger) == groups[1].sessions[0].sid


def test_stolen_cookie_alone_gives_no_name(engine: str, clock: Any) -> None:
    user = UserFactory()
    client = browser(user)
    url = reverse("jwtsession:name", args=[sid_of(client)])
    clock.shift(301)
    assert client.get(url).headers["Location"].startswith("/confirm/")
    assert name(client, sid_of(client), "x").headers["Location"].startswith("/confirm/")
    assert "named" not in set(SessionEvent.objects.values_list("kind", flat=True))


def test_devices_of_others_cannot_be_named(engine: str) -> None:
    mine, other = browser(UserFactory()), browser(UserFactory())
    assert name(mine, sid_of(other), "x").status_code == 404
    assert Client().get(f"{PAGE}{sid_of(other)}/name/").headers["Location"].startswith("/login/")


def test_name_is_text_and_not_too_long(db_engine: None) -> None:
    client = browser(UserFactory())
    assert name(client, sid_of(client), "x" * 41).status_code == 200
    name(client, sid_of(client), "<b>bold</b>")
    assert "<b>bold" not in page_of(client)
    assert "<b>bold" not in page_of(client, HISTORY)


# --- the history ---------------------------------------------------------------------------------


def test_session_ends_from_its_login_in_the_history(engine: str) -> None:
    user = UserFactory()
    client, phone, gone = browser(user, headers=LINUX), browser(user, headers=IPHONE), browser(user)
    sid, old = sid_of(phone), sid_of(gone)
    gone.post("/logout/")
    page = page_of(client, HISTORY)
    assert page.count(f'action="{PAGE}{sid}/end/"') == 1
    assert old not in page
    client.post(f"{PAGE}{sid}/end/")
    assert phone.get("/closed/").status_code == 302
    assert sid not in page_of(client, HISTORY)


# --- JSON ----------------------------------------------------------------------------------------

JSON = "/session/sessions/"


def test_front_end_lists_and_ends_sessions(engine: str) -> None:
    user = UserFactory()
    client, phone = browser(user, headers=LINUX), browser(user, headers=IPHONE)
    stranger = browser(UserFactory())
    response = client.get(JSON)
    assert "no-store" in response.headers["Cache-Control"]
    assert cookie(client) not in response.content.decode()
    own, other = response.json()["sessions"]
    assert (own["sid"], own["is_own"], own["kind"]) == (sid_of(client), True, "desktop")
    assert (other["sid"], other["device"]) == (sid_of(phone), "Safari 26 on iOS")
    assert client.get(f"{JSON}{other['sid']}/").json() == other
    assert client.delete(f"{JSON}{sid_of(stranger)}/").json() == {"code": "not_found"}
    assert client.delete(f"{JSON}{other['sid']}/").status_code == 204
    assert client.delete(f"{JSON}{other['sid']}/").status_code == 204, "it has ended"
    assert phone.get("/closed/").status_code == 302
    assert stranger.get("/closed/").status_code == 200
    assert client.delete(f"{JSON}{own['sid']}/").status_code == 204
    assert client.get(JSON).status_code == 401
    assert client.get(JSON).json() == {"code": "login_required", "url": "/login/"}


def test_front_end_is_told_to_ask_for_a_proof(engine: str, clock: Any) -> None:
    user = UserFactory()
    client, phone = browser(user), browser(user)
    clock.shift(301)
    headers = {"Referer": "http://testserver/app/?tab=2"}
    response = client.delete(f"{JSON}{sid_of(phone)}/", headers=headers)
    assert response.status_code == 403
    answer = response.json()
    assert (answer["code"], answer["max_age"]) == ("proof_required", 300)
    back = client.post(answer["url"], {"password": PASSWORD, "next": "/app/?tab=2"})
    assert back.headers["Location"] == "/app/?tab=2"
    assert client.delete(f"{JSON}{sid_of(phone)}/").status_code == 204


def test_front_end_ends_all_others_with_the_proof_in_the_request(engine: str) -> None:
    user = UserFactory()
    client, phone = browser(user), browser(user)

    def delete(data: Any) -> tuple[int, str]:
        response = client.delete(JSON, data, content_type="application/json")
        return response.status_code, response.json()["code"] if response.content else ""

    assert delete({}) == (403, "proof_required")
    assert delete({"password": "wrong"}) == (403, "wrong_proof")
    assert delete("[") == (400, "bad_json")
    assert delete([1]) == (400, "bad_json")
    assert phone.get("/closed/").status_code == 200
    assert delete({"password": PASSWORD}) == (204, "")
    assert phone.get("/closed/").status_code == 302
    assert client.get("/closed/").status_code == 200
    for _ in range(5):
        delete({"password": "wrong"})
    assert delete({"password": PASSWORD}) == (429, "too_many_tries")


def test_other_sites_and_forms_without_a_token_end_nothing_by_json(engine: str) -> None:
    user = UserFactory()
    client, phone = browser(user), browser(user)
    url = f"{JSON}{sid_of(phone)}/"
    assert client.delete(url, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.cookies["sessionid"] = cookie(client)
    refused = strict.delete(url)
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
    assert phone.get("/closed/").status_code == 200


def test_list_brings_the_csrf_token_that_an_end_needs(engine: str) -> None:
    user = UserFactory()
    phone = browser(user)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies["sessionid"] = cookie(browser(user))
    strict.get(JSON)
    headers = {"X-CSRFToken": strict.cookies["csrftoken"].value}
    assert strict.delete(f"{JSON}{sid_of(phone)}/", headers=headers).status_code == 204
    assert phone.get("/closed/").status_code == 302


# --- places --------------------------------------------------------------------------------------


def berlin(ip_address: str) -> str:
    return "Berlin, Germany" if ip_address == "127.0.0.1" else ""


def test_place_that_the_site_knows_stands_beside_the_address(engine: str, settings: Any) -> None:
    settings.JWTSESSION = {"LOCATION": f"{__name__}.berlin"}
    client = browser(UserFactory())
    assert "Berlin, Germany 127.0.0.1" in text(page_of(client))
    assert "Berlin, Germany 127.0.0.1" in text(page_of(client, HISTORY))
    assert client.get(JSON).json()["sessions"][0]["location"] == "Berlin, Germany"
    settings.JWTSESSION = {}
    assert "Berlin" not in text(page_of(client))


# --- languages -----------------------------------------------------------------------------------


def test_page_in_a_language_that_it_does_not_have_is_all_english(
    db_engine: None, settings: Any, clock: Any
) -> None:
    settings.LANGUAGE_CODE = "it"
    client = browser(UserFactory())
    for path_ in (PAGE, HISTORY, "/confirm/", "/login/"):
        page = page_of(client, path_)
        assert '<html lang="en">' in page
        assert client.get(path_).headers.get("Content-Language", "en") == "en"
    words = text(client.post("/confirm/", {"password": ""}).content.decode())
    assert "This field is required." in words
    words = text(page_of(client, HISTORY))
    assert re.search(r"[A-Z][a-z]+\.? \d+, 20\d\d", words), words


def test_site_that_translates_the_texts_itself_is_left_alone(
    db_engine: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LANGUAGE_CODE = "it"
    monkeypatch.setattr("django_jwtsession.pages.language.pgettext", lambda *_: "Le tue sessioni")
    assert '<html lang="it">' in page_of(browser(UserFactory()))


def test_messages_of_the_pages_that_django_has_too_have_a_context() -> None:
    """Whichever app stands first in INSTALLED_APPS would translate them for all."""
    folder = Path(django.__file__).parent
    theirs: set[Any] = set()
    for file in folder.glob("**/locale/de/LC_MESSAGES/django.po"):
        with file.open("rb") as po:
            theirs |= {message.id for message in read_po(po) if not message.context}
    pages = {
        message.id: [place for place, _ in message.locations]
        for message in template()
        if message.id and not message.context
    }
    ours = {
        id_: places
        for id_, places in pages.items()
        if any(place.startswith(("pages/", "templates/jwtsession/")) for place in places)
        and not any("/admin/" in place for place in places)
    }
    assert not {id_: places for id_, places in ours.items() if id_ in theirs}
