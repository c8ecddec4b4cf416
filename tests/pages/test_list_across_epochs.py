"""A session stays one line of its user's lists through all its epochs, until it ends."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import login
from django.test import Client
from django.test.utils import override_settings

from django_jwtsession.pages.listing import number_of

from ..conftest import Visit, write
from ..factories import PASSWORD, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls_password")]

NEW = "another long password"


@pytest.fixture
def ada(db: None) -> Any:
    user: Any = UserFactory(username="ada")
    return user


def open_page(client: Client, path: str, data: Any = None) -> Any:
    """Visit a page of the site, whatever `visit` has put in its place."""
    with override_settings(ROOT_URLCONF="tests.urls_password"):
        return client.get(path) if data is None else client.post(path, data)


def log_in(client: Client) -> Client:
    """Log a visitor in who may have a session already."""
    form = {"username": "ada", "password": PASSWORD}
    assert open_page(client, "/login/", form).status_code == 302
    return client


def listed(client: Client) -> list[str]:
    """Return the sids on the user's page."""
    return [one.sid for one in open_page(client, "/sessions/").context["sessions"]]


def sid(client: Client) -> str:
    session: Any = client.session
    return str(session.sid)


def ends_offered(sid: str) -> bool:
    """Tell whether the admin's history offers to end the session of a login."""
    user: Any = UserFactory(admin=True)
    staff = Client()
    staff.force_login(user)
    page = open_page(staff, f"/admin/django_jwtsession/sessionevent/?q={sid}").content.decode()
    return "/end/" in page


def test_login_of_a_visitor_is_listed_on_the_other_devices(
    engine: str, ada: Any, visit: Visit
) -> None:
    first, second = Client(), Client()
    for client in (first, second):
        visit(write(cart=1), by=client)  # a session that is there before the login
        log_in(client)
    assert set(listed(first)) == set(listed(second)) == {sid(first), sid(second)}
    assert number_of(ada) == 2
    assert ends_offered(sid(first))


def test_proof_of_identity_takes_no_session_off_the_lists(engine: str, ada: Any) -> None:
    first, second = log_in(Client()), log_in(Client())
    for _ in range(2):
        assert open_page(first, "/confirm/", {"password": PASSWORD}).status_code == 302
    assert set(listed(second)) == {sid(first), sid(second)}
    assert number_of(ada) == 2
    assert ends_offered(sid(first))


def test_list_after_an_own_new_password_shows_exactly_this_session(engine: str, ada: Any) -> None:
    client, other = log_in(Client()), log_in(Client())
    gone = sid(other)
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert open_page(client, "/password/", form).status_code == 302
    assert listed(client) == [sid(client)]
    assert number_of(ada) == 1
    assert ends_offered(sid(client))
    assert not ends_offered(gone)


def test_session_that_ended_with_another_user_s_login_is_listed_no_more(
    engine: str, ada: Any, visit: Visit
) -> None:
    own, shared = log_in(Client()), log_in(Client())
    gone = sid(shared)
    assert open_page(shared, "/confirm/", {"password": PASSWORD}).status_code == 302
    another: Any = UserFactory()
    visit(lambda request: login(request, another), by=shared)
    assert listed(own) == [sid(own)]
    assert number_of(ada) == 1
    assert not ends_offered(gone)
