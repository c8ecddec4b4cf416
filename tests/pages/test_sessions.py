"""The user's pages: sessions on each device, ending them, and the history."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_jwtsession.models import Session, SessionEvent
from django_jwtsession.revocation import revoke_session, revoke_user_sessions
from django_jwtsession.tokens.sid import new_sid

from ..conftest import NOW, cookie
from ..factories import PASSWORD, SessionFactory, UserFactory, browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

LINUX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.6 Safari/605.1.15"
)
PAGE = "/sessions/"
DONE = "/sessions/#jwtsession-messages"
PROOF = {"password": PASSWORD}
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.LOGIN_URL = "login"


def text(response: Any) -> str:
    assert response.status_code == 200
    body = response.content.decode().partition("<body>")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("\xa0", " ").split())


def end(client: Client, sid: str, **kwargs: Any) -> Any:
    return client.post(reverse("jwtsession:end_session", args=[sid]), **kwargs)


def sid_of(client: Client) -> str:
    return str(client.session.sid)


def is_in(client: Client) -> bool:
    return bool(client.get("/closed/").status_code == 200)


def listed(client: Client) -> list[Any]:
    return list(client.get(PAGE).context["sessions"])


# --- the list ------------------------------------------------------------------------------------


def test_page_leads_who_is_not_logged_in_to_the_login_and_back(engine: str) -> None:
    for page in (PAGE, "/sessions/history/", "/confirm/", "/sessions/end-all/"):
        assert Client().get(page).headers["Location"] == f"/login/?next={page}"


def test_this_device_stands_first_and_alone_is_marked(engine: str) -> None:
    user = UserFactory()
    mac, linux = browser(user, headers={"user-agent": MAC}), browser(user)
    for client in (mac, linux):
        own, other = listed(client)
        assert (own.sid, own.is_own, other.is_own) == (sid_of(client), True, False)
        assert text(client.get(PAGE)).count("This device") == 1
    assert "Safari 18 on macOS" in text(mac.get(PAGE))


def test_each_session_tells_device_address_login_and_last_use(db_engine: None) -> None:
    user, now = UserFactory(), timezone.now()
    SessionFactory(
        user=user,
        ip_address="2001:db8::7",
        created_at=now - timedelta(days=3, hours=1),
        last_seen_at=now - timedelta(hours=2, minutes=5),
    )
    SessionFactory(user=user, created_at=now - timedelta(days=9), last_seen_at=now)
    page = text(browser(user, headers={"user-agent": MAC}).get(PAGE))
    assert "Active 2 hours ago 2001:db8::7 Signed in 3 days ago Expires in 6 days" in page
    assert "Firefox 149 on Ubuntu Active now 192.0.2.1 Signed in 1 week ago Expires in 6 d" in page
    assert "Safari 18 on macOS This device Active now 127.0.0.1 Signed in just now" in page


@pytest.mark.requirement("ASVS 7.5.2")
def test_cookie_engine_lists_the_logins_and_says_what_it_does_not_know(
    cookie_engine: None,
) -> None:
    user = UserFactory()
    with time_machine.travel(timezone.now() - timedelta(days=2, minutes=1), tick=False):
        browser(user, headers={"user-agent": MAC})
    page = text(browser(user, headers={"user-agent": LINUX}).get(PAGE))
    assert "Safari 18 on macOS Last use not known 127.0.0.1 Signed in 2 days ago" in page
    assert "Firefox 149 on Ubuntu This device Active now 127.0.0.1" in page


def test_ended_sessions_are_not_listed(engine: str) -> None:
    user = UserFactory()
    client, left, ended, oldest = (browser(user) for _ in range(4))
    left.post("/logout/")
    revoke_session(sid_of(ended))
    assert {one.sid for one in listed(client)} == {sid_of(client), sid_of(oldest)}
    revoke_user_sessions(user, keep=client.session)
    assert [one.sid for one in listed(client)] == [sid_of(client)]
    assert "You are signed in on this device only." in text(client.get(PAGE))


def test_logins_that_are_over_in_any_case_are_not_listed(engine: str, clock: Any) -> None:
    user = UserFactory()
    browser(user)
    clock.move_to(NOW + 91 * 86400)
    client = browser(user)
    assert [one.sid for one in listed(client)] == [sid_of(client)]


def test_two_logins_in_one_session_are_one_line_of_the_last(engine: str, clock: Any) -> None:
    user = UserFactory()
    client = browser(user)
    clock.shift(1000)
    client.post("/login/", {"username": user.username, "password": PASSWORD})
    (one,) = listed(client)
    assert one.sid == sid_of(client)
    assert one.signed_in_at.timestamp() == NOW + 1000


def test_page_works_with_another_session_engine(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    settings.SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
    client = browser(UserFactory(), headers={"user-agent": LINUX})
    assert "Firefox 149 on Ubuntu This device Active now" in text(client.get(PAGE))


def test_sessions_of_others_are_neither_listed_nor_ended(engine: str) -> None:
    mine, other = browser(UserFactory()), browser(UserFactory())
    assert [one.sid for one in listed(mine)] == [sid_of(mine)]
    assert end(mine, sid_of(other)).status_code == 404
    assert is_in(other)


def test_many_sessions_come_in_pages_with_this_device_on_the_first(
    db_engine: None, django_assert_num_queries: Any
) -> None:
    user = UserFactory()
    client = browser(user)
    SessionFactory.create_batch(45, user=user)
    with django_assert_num_queries(4):  # session, user, sessions, names
        first = client.get(PAGE)
    assert "Page 1 of 3" in text(first)
    assert first.context["sessions"][0].is_own
    last = client.get(PAGE, {"page": 3})
    assert len(last.context["sessions"]) == 6
    assert "This device" not in text(last)


def test_ending_one_comes_back_to_its_page_or_to_the_last_that_is_left(db_engine: None) -> None:
    user = UserFactory()
    client = browser(user)
    SessionFactory.create_batch(20, user=user)
    page = client.get(PAGE, {"page": 2})
    [oldest] = page.context["sessions"]
    assert '<input type="hidden" name="page" value="2">' in page.content.decode()

    back = end(client, oldest.sid, data={"page": "2"})

    assert back.headers["Location"] == f"{PAGE}?page=2#jwtsession-messages"
    assert len(client.get(back.headers["Location"]).context["sessions"]) == 20


@pytest.mark.parametrize("page", ["", "x", "-1", "2&next=//evil.example", "9" * 5000, "²"])
def test_page_to_come_back_to_is_a_number_or_nothing(db_engine: None, page: str) -> None:
    user = UserFactory()
    client = browser(user)
    other = SessionFactory(user=user)
    assert end(client, other.sid, data={"page": page}).headers["Location"] == DONE


def test_words_of_a_browser_are_text_and_not_markup(db_engine: None) -> None:
    user = UserFactory()
    SessionFactory(user=user, browser="<script>alert(1)</script>")
    assert b"<script>" not in browser(user).get(PAGE).content


@pytest.mark.requirement("ASVS 3.3.4", "RFC 6265bis 8.5")
def test_page_shows_no_token_and_is_never_stored(engine: str) -> None:
    client = browser(UserFactory())
    response = client.get(PAGE)
    assert cookie(client) not in response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]


# --- ending --------------------------------------------------------------------------------------


def test_ended_device_is_anonymous_at_its_next_request(engine: str) -> None:
    user = UserFactory()
    client, other = browser(user), browser(user, headers={"user-agent": MAC})
    response = end(client, sid_of(other))
    assert response.headers["Location"] == DONE
    assert "The session was ended: Safari 18 on macOS." in text(client.get(PAGE))
    assert not is_in(other)
    assert is_in(client)
    assert len(listed(client)) == 1


@pytest.mark.parametrize("sid", ["A" * 22, "x", "é" * 22, "history", "A" * 21 + "\0"])
def test_session_that_is_not_there_is_404(engine: str, sid: str) -> None:
    assert end(browser(UserFactory()), sid).status_code == 404


def test_double_click_says_that_the_session_has_ended_already(engine: str) -> None:
    user = UserFactory()
    client, other = browser(user), browser(user)
    sid = sid_of(other)
    assert end(client, sid).status_code == 302
    client.get(PAGE)
    assert end(client, sid).headers["Location"] == DONE
    assert "That session has ended already." in text(client.get(PAGE))
    assert SessionEvent.objects.filter(sid=sid, kind="revoked").count() == 1
    assert end(browser(UserFactory()), sid).status_code == 404


def test_ending_this_session_is_a_logout(engine: str) -> None:
    client = browser(UserFactory())
    assert end(client, sid_of(client)).headers["Location"] == "/login/"
    assert not is_in(client)


def test_all_others_end_and_this_one_goes_on(engine: str) -> None:
    user = UserFactory()
    client, *others = (browser(user) for _ in range(3))
    stranger = browser(UserFactory())
    assert client.post("/sessions/end-others/", PROOF).headers["Location"] == DONE
    assert "All other sessions were ended." in text(client.get(PAGE))
    assert is_in(client)
    assert is_in(stranger)
    assert not any(is_in(other) for other in others)


def test_all_end_with_this_one(engine: str) -> None:
    user = UserFactory()
    client, other = browser(user), browser(user)
    response = client.post("/sessions/end-all/", PROOF)
    assert response.headers["Location"] == "/login/"
    assert "All your sessions were ended." in text(client.get("/login/"))
    assert not is_in(client)
    assert not is_in(other)
    assert not Session.objects.exists()


@pytest.mark.parametrize("path", ["end-others/", "end-all/"])
@pytest.mark.requirement("ASVS 7.5.2")
def test_all_end_by_a_proof_in_the_form_itself_however_fresh_the_login(
    engine: str, path: str
) -> None:
    user = UserFactory()
    client, other = browser(user), browser(user)
    assert 'name="password"' in client.get(PAGE + path).content.decode()
    assert client.post(PAGE + path).status_code == 200
    assert client.post(PAGE + path, {"password": "wrong"}).status_code == 200
    assert client.post(PAGE + path, {"proof": "forged"}).status_code == 200
    assert is_in(other)
    assert client.post(PAGE + path, PROOF).status_code == 302
    assert not is_in(other)


@pytest.mark.requirement("ASVS 7.5.2")
def test_one_session_ends_by_a_login_or_proof_of_the_last_five_minutes(
    engine: str, clock: Any
) -> None:
    user = UserFactory()
    client, other = browser(user), browser(user)
    url = reverse("jwtsession:end_session", args=[sid_of(other)])
    clock.shift(301)
    ask = end(client, sid_of(other), headers={"Referer": f"http://testserver{PAGE}"})
    assert ask.headers["Location"] == "/confirm/?" + urlencode({"next": url, "back": PAGE})
    assert is_in(other)
    assert f'<a href="{PAGE}">Back</a>' in client.get(ask.headers["Location"]).content.decode()
    back = client.post(ask.headers["Location"], PROOF | {"next": url})
    assert back.headers["Location"] == url
    assert "End this session?" in text(client.get(url))
    assert is_in(other), "what the form sent must not be sent again"
    client.post(url)
    assert not is_in(other)


def test_ones_own_session_ends_however_old_the_login_is(engine: str, clock: Any) -> None:
    client = browser(UserFactory())
    clock.shift(301)
    assert end(client, sid_of(client)).headers["Location"] == "/login/"
    assert not is_in(client)


@pytest.mark.requirement("RFC 6265bis 8.2", "RFC 9700 4.7")
def test_links_and_other_sites_end_nothing(engine: str) -> None:
    user = UserFactory()
    client, other = browser(user), browser(user)
    url = reverse("jwtsession:end_session", args=[sid_of(other)])
    assert client.get(url).status_code == 200
    for path in ("end-others/", "end-all/"):
        assert client.get(PAGE + path).status_code == 200
        assert client.post(PAGE + path, headers=CROSS_SITE).status_code == 403
    assert client.post(url, headers=CROSS_SITE).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.cookies["sessionid"] = cookie(client)
    for path in (url, f"{PAGE}end-others/", f"{PAGE}end-all/"):
        assert strict.post(path).status_code == 403
    assert is_in(other)


def test_every_form_of_the_page_carries_a_csrf_token(engine: str) -> None:
    user = UserFactory()
    browser(user)
    page = browser(user).get(PAGE).content.decode()
    forms = re.findall(r"<form.*?</form>", page, re.DOTALL)
    assert len(forms) == 2
    assert all("csrfmiddlewaretoken" in form and 'method="post"' in form for form in forms)


# --- the history ---------------------------------------------------------------------------------


def test_history_tells_what_happened_newest_first(engine: str, clock: Any) -> None:
    user, staff = UserFactory(), UserFactory()
    client = browser(user, headers={"user-agent": LINUX})
    clock.shift(10)
    other = browser(user, headers={"user-agent": MAC})
    clock.shift(10)
    browser().post("/login/", {"username": user.username, "password": "wrong"})
    clock.shift(10)
    end(client, sid_of(other))
    third = browser(user, headers={"user-agent": MAC})
    clock.shift(10)
    revoke_session(sid_of(third), by=staff)
    page = text(client.get("/sessions/history/"))
    told = [
        "Session ended by an administrator",
        "Session ended by you",
        "wrong password",
        "First sign-in on a new device",
        "Signed in This session",
    ]
    places = [page.find(words) for words in told]
    assert -1 not in places
    assert places == sorted(places)
    assert staff.username not in page


def test_history_of_others_is_theirs(engine: str) -> None:
    browser(UserFactory(), headers={"user-agent": MAC})
    page = text(browser(UserFactory(), headers={"user-agent": LINUX}).get("/sessions/history/"))
    assert "Firefox" in page
    assert "Safari" not in page


def test_history_comes_in_pages_without_a_query_a_line(
    db_engine: None, django_assert_num_queries: Any
) -> None:
    user = UserFactory()
    client = browser(user)
    SessionEvent.objects.bulk_create(
        SessionEvent(kind="revoked", user=user, actor=user, sid=new_sid()) for _ in range(40)
    )
    with django_assert_num_queries(6):  # session, user, count, events, sessions, names
        assert "Page 1 of 2" in text(client.get("/sessions/history/"))


def test_history_without_events_says_so(db_engine: None) -> None:
    client = browser(UserFactory())
    SessionEvent.objects.all().delete()
    assert "Nothing has happened yet." in text(client.get("/sessions/history/"))
