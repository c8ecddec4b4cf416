"""The user's pages without JavaScript, by keyboard, narrow and wide, dark, full and empty."""

from __future__ import annotations

from uuid import uuid4

from playwright.sync_api import Page, expect

from .conftest import NewProfile
from .server import PASSWORD, Site
from .visits import DESKTOP, FIREFOX, IPHONE, PHONE, assert_fits, card, expect_login, log_in, press

EMPTY = "You are signed in on this device only."


# --- without JavaScript --------------------------------------------------------------------------


def test_everything_works_without_javascript(site: Site, profile: NewProfile):
    user = site.new_user()
    log_in(profile(user_agent=IPHONE), user)
    page = log_in(profile(java_script_enabled=False), user)
    page.get_by_role("link", name="Your sessions").click()
    card(page, "iOS").get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("The session was ended")
    page.get_by_role("link", name="History").click()
    expect(card(page, "Session ended by you")).to_be_visible()

    log_in(profile(user_agent=IPHONE), user)
    site.later(6 * 60)
    page.goto("/sessions/")
    end_all_others(page)
    expect(page.get_by_text(EMPTY)).to_be_visible()
    press(page, "Sign out")
    expect(page).to_have_url("/login")
    page.goto("/sessions/")
    expect_login(page, back_to="/sessions/")


def test_sign_up_works_without_javascript(site: Site, profile: NewProfile):
    page = profile(java_script_enabled=False)
    page.goto("/signup")
    page.get_by_label("Username").fill(f"new-{uuid4().hex[:8]}")
    page.get_by_label("Password:").fill(PASSWORD)
    page.get_by_label("Password confirmation").fill("another one")
    press(page, "Sign up")
    expect(page.get_by_text("The two password fields")).to_be_visible()
    page.get_by_label("Password:").fill(PASSWORD)
    page.get_by_label("Password confirmation").fill(PASSWORD)
    press(page, "Sign up")
    expect(page).to_have_url("/profile")


def end_all_others(page: Page) -> None:
    page.get_by_role("link", name="End all other sessions").click()
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "End all other sessions")


# --- by keyboard ---------------------------------------------------------------------------------

# What a visitor can act on; what has the focus, by the words for it, and how thick its outline is.
_STOPS = "e => e.checkVisibility() && e.type !== 'hidden'"
_FOCUSED = """() => {
    const e = document.activeElement, style = getComputedStyle(e)
    if (e === document.body) return null  // the browser's own buttons
    const words = e.getAttribute('aria-label') || e.name || e.textContent.trim()
    return [words, style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth)]
}"""


def tab_to(page: Page, wanted: str) -> list[str]:
    """Press Tab until `wanted` has the focus; return all that had it. Each must show that."""
    seen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if (focused := page.evaluate(_FOCUSED)) is None:
            continue
        words, outline = focused
        assert outline >= 2, f"{words} does not show the focus"
        seen.append(words)
        if words == wanted:
            return seen
    raise AssertionError(f"no {wanted} among {seen}")


def test_sessions_are_ended_by_keyboard_alone(site: Site, profile: NewProfile):
    user = site.new_user()
    log_in(profile(user_agent=IPHONE), user)
    log_in(profile(user_agent=IPHONE), user)
    page = profile(user_agent=FIREFOX)
    page.goto("/login?next=/sessions/")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type(user)
    tab_to(page, "password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url("/sessions/")

    phones = page.get_by_role("button", name="End session: Safari 26 on iOS")
    first = phones.first.get_attribute("aria-label") or ""
    assert first != phones.last.get_attribute("aria-label")
    seen = tab_to(page, first)
    assert [words.partition(":")[0] for words in seen[-4:]] == [
        "Name",
        "Sign out",
        "Name",
        "End session",
    ]
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_be_focused()
    expect(page.get_by_role("status")).to_contain_text("The session was ended")
    expect(page.locator(".jwtsession-card")).to_have_count(2)
    tab_to(page, "End all other sessions")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text(EMPTY)).to_be_visible()


def test_tab_reaches_everything_that_can_be_pressed(site: Site, profile: NewProfile):
    user = site.new_user()
    log_in(profile(), user)
    page = log_in(profile(), user, to="/sessions/")
    things = page.locator("a[href], button, input").evaluate_all(
        f"all => all.filter({_STOPS}).map(e => e.textContent.trim())"
    )

    seen = tab_to(page, "End all, this one as well")

    # Those of the footer come after it.
    assert len(seen) == len(things) - 4


# --- narrow and wide, full and empty -------------------------------------------------------------


def has_many_sessions(site: Site, user: str, number: int) -> None:
    """Copy the user's session until there are `number` of them."""
    where = "FROM {} WHERE user_id = (SELECT id FROM auth_user WHERE username = ?)"
    [row] = site.sql("SELECT * " + where.format("django_jwtsession_session"), user)
    copies = []
    for count in range(number - 1):
        seen = f"2026-01-01 00:{count // 60:02}:{count % 60:02}"
        other = {"id": uuid4().hex, "last_seen_at": seen, "browser": f"Browser {count}"}
        copies.append(dict(row) | other)
    site.insert("django_jwtsession_session", *copies)


LONG = "w" * 140


def test_long_names_and_devices_stay_in_the_window(site: Site, profile: NewProfile):
    user = site.new_user(LONG)
    log_in(profile(user_agent=f"{LONG}/1"), user)
    page = log_in(profile(viewport=PHONE), user, to="/sessions/")
    for path in ("/confirm/", "/sessions/history/", "/sessions/"):
        page.goto(path)
        assert_fits(page)
    card(page, "w" * 60).get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("w" * 60)
    assert_fits(page)

    [row] = site.sql("SELECT id FROM auth_user WHERE username = ?", user)
    staff = log_in(profile(viewport=PHONE), site.new_user(staff=True), to="/admin/")
    for path in ("user/{}/end/", "confirm-login/"):
        staff.goto("/admin/django_jwtsession/session/" + path.format(row["id"]))
        assert_fits(staff)


def test_300_sessions_stand_on_pages_that_fit(site: Site, profile: NewProfile):
    user = site.new_user()
    page = log_in(profile(), user)
    has_many_sessions(site, user, 300)
    page.goto("/sessions/")

    listed: list[str] = []
    for number in range(1, 16):
        expect(page.get_by_text(f"Page {number} of 15")).to_be_visible()
        for size in (DESKTOP, PHONE):
            page.set_viewport_size(size)
            assert_fits(page)
        listed += page.locator(".jwtsession-card :is(h2, h3)").all_inner_texts()
        if number < 15:
            page.get_by_role("link", name="Older").click()

    assert len(set(listed)) == len(listed) == 300
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    assert "This device" in listed[0]
    end_all_others(page)
    expect(page.get_by_text(EMPTY)).to_be_visible()


def test_only_session_and_a_history_without_events(site: Site, profile: NewProfile):
    user = site.new_user()
    page = log_in(profile(), user, to="/sessions/")
    expect(page.locator(".jwtsession-card")).to_have_count(1)
    expect(page.get_by_text(EMPTY)).to_be_visible()
    expect(page.get_by_role("button", name="End all")).to_have_count(0)

    site.sql(
        "DELETE FROM django_jwtsession_sessionevent"
        " WHERE user_id = (SELECT id FROM auth_user WHERE username = ?)",
        user,
    )
    page.goto("/sessions/history/")
    expect(page.get_by_text("Nothing has happened yet.")).to_be_visible()


def test_nothing_leaves_its_card_at_320_pixels_and_twice_the_letters(
    site: Site, profile: NewProfile
):
    user = site.new_user()
    log_in(profile(user_agent=IPHONE), user)
    log_in(profile(user_agent=IPHONE), user)
    page = log_in(profile(viewport={"width": 320, "height": 640}), user, to="/sessions/")
    for path in ("/sessions/", "/sessions/history/", "/sessions/end-others/", "/confirm/"):
        page.goto(path)
        for size in ("100%", "200%"):
            page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
            assert_fits(page)
            assert page.evaluate(_OUTSIDE) == []


# Letters as well: a range around what an element holds is as wide as its text.
_OUTSIDE = """() => [...document.querySelectorAll(".jwtsession-card, .jwtsession-button")].flatMap(
    box => [...box.querySelectorAll("*"), box].filter(e => {
        const range = document.createRange()
        range.selectNodeContents(e)
        const inner = range.getBoundingClientRect(), outer = box.getBoundingClientRect()
        return inner.width && (inner.right > outer.right + 1 || inner.left < outer.left - 1)
    }).map(e => e.outerHTML.slice(0, 80))
)"""


def test_times_are_those_of_the_visitor_and_say_their_zone(site: Site, profile: NewProfile):
    user = site.new_user()
    page = log_in(profile(timezone_id="Asia/Tokyo"), user, to="/sessions/history/")
    expect(page.locator("time").first).to_contain_text("GMT+9")
    plain = log_in(profile(java_script_enabled=False), user, to="/sessions/history/")
    expect(plain.locator("time").first).to_contain_text("UTC")


def test_device_gets_a_name_and_the_focus_comes_back_to_it(site: Site, profile: NewProfile):
    user = site.new_user()
    log_in(profile(user_agent=IPHONE), user)
    page = log_in(profile(user_agent=FIREFOX), user, to="/sessions/")
    card(page, "iOS").get_by_role("link", name="Name").click()
    expect(page.get_by_label("Name of the device")).to_be_focused()
    page.keyboard.type("My phone")
    page.keyboard.press("Enter")
    expect(card(page, "My phone")).to_be_focused()


def test_dark_where_the_system_is_dark(site: Site, profile: NewProfile):
    page = log_in(profile(), site.new_user(), to="/sessions/")
    for scheme, dark in (("light", False), ("dark", True)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for part in ("body", ".jwtsession-card"):
            assert (brightness(page, part, "background-color") < 64) is dark
            assert (brightness(page, part, "color") > 192) is dark


def brightness(page: Page, part: str, colour: str) -> float:
    """Return the mean of red, green and blue of a colour of the page, 0 to 255."""
    value: str = page.locator(part).first.evaluate(f"e => getComputedStyle(e)['{colour}']")
    rgb = value.removeprefix("rgb(").removesuffix(")").split(", ")
    return sum(map(int, rgb)) / 3
