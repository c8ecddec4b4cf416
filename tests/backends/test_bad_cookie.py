"""A bad token of any kind: an anonymous visitor, one record, no query."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from django.conf import settings as site
from django.test import Client

from django_jwtsession.conf import get_config
from django_jwtsession.exceptions import Reason
from django_jwtsession.tokens.claims import Claims
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import KeyRing
from django_jwtsession.tokens.sid import new_sid

from ..conftest import DAY, Visit, cookie, read, write

pytestmark = pytest.mark.django_db


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def issue(secret: str = "", salt: str = "sessionid", age: float = DAY, **claims: Any) -> str:
    """Return an authentic token that was issued now and ends after `age` seconds."""
    now = time.time()
    codec = Codec(KeyRing([secret], salt)) if secret else get_config().codec
    return codec.issue(_claims(now, age)._replace(**claims), now)


def _claims(now: float, age: float) -> Claims:
    return Claims(new_sid(), int(now), int(now + age), int(now * 1000))


def altered(place: int) -> str:
    parts = issue().split(".")
    first = parts[place][0]
    parts[place] = ("A" if first != "A" else "B") + parts[place][1:]
    return ".".join(parts)


def header_of(**changed: Any) -> str:
    """Return an authentic token under a header with other members (so it is authentic no more)."""
    parts = issue().split(".")
    raw = json.loads(base64.urlsafe_b64decode(parts[0] + "=="))
    return ".".join([segment(raw | changed), *parts[1:]])


def none_algorithm() -> str:
    claims = {"sid": new_sid(), "iat": int(time.time()), "exp": int(time.time()) + DAY}
    return f"{segment({'alg': 'none', 'typ': 'ses+jwt'})}.{segment(claims)}."


BAD = {
    "altered nonce": (lambda: altered(2), "signature"),
    "altered ciphertext": (lambda: altered(3), "signature"),
    "altered tag": (lambda: altered(4), "signature"),
    "truncated": (lambda: issue()[:-1], "malformed"),
    "wrong key": (lambda: issue("another secret, also of more than 32 bytes"), "unknown_key"),
    "key of another cookie": (lambda: issue(site.SECRET_KEY, "other"), "unknown_key"),
    "expired": (lambda: issue(age=-DAY, iat=1), "expired"),
    "ends before it begins": (lambda: issue(age=-1, iat=int(time.time())), "expired"),
    "not yet": (lambda: issue(iat=int(time.time()) + 60), "not_yet_valid"),
    "none": (none_algorithm, "algorithm"),
    "other typ": (lambda: header_of(typ="JWT"), "type"),
    "no typ": (lambda: header_of(typ=None), "type"),
    "jku": (lambda: header_of(jku="https://example.com/keys"), "header"),
    "crit": (lambda: header_of(crit=["exp"]), "header"),
    "not a token": (lambda: "this is not a token", "malformed"),
    "short": (lambda: "garbage", "malformed"),
    "non-ascii": (lambda: "gärbäge-gärbäge", "malformed"),
    "a key of Django's db": (lambda: "q5cfhv93dpmbc9yczvx1w2p0iw4q3d7v", "malformed"),
    "dots": (lambda: "." * 40, "malformed"),
    "100 KB": (lambda: "A" * 100_000, "too_long"),
    "100 KB of token": (lambda: issue() + "A" * 100_000, "too_long"),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD.keys())
@pytest.mark.requirement("ASVS 7.2.1")
def test_bad_token_is_anonymous_with_one_record_and_no_query(
    engine: str,
    visit: Visit,
    security_log: Any,
    make: Any,
    reason: str,
    django_assert_num_queries: Any,
) -> None:
    token = make()
    anonymous = visit(read, by=Client())
    visitor = Client()
    visitor.cookies["sessionid"] = token

    def view(request: Any) -> Any:
        assert request.user.is_anonymous
        assert request.session.session_key is None
        return read(request)

    with django_assert_num_queries(0):
        response = visit(view, by=visitor)

    [record] = security_log
    said = f"{record.getMessage()} {record.__dict__}"
    assert record.reason == reason
    assert record.reason in set(Reason)
    assert record.getMessage().endswith(reason)
    assert not [part for part in token.split(".") if len(part) > 5 and part in said]
    assert (response.status_code, response.content) == (200, anonymous.content)
    # Only what can be nobody's token goes: another may be newer in the browser, or good elsewhere.
    no_token = reason in ("malformed", "too_long")
    assert [m["max-age"] for m in response.cookies.values()] == ([0] if no_token else [])
    kept = {"Cache-Control": "private, no-store"} if no_token else {}
    assert dict(response.headers) == dict(anonymous.headers) | {"Vary": "Cookie"} | kept


def test_stateless_session_that_ended_just_now_leaves_a_record_too(
    cookie_engine: None, visit: Visit, security_log: Any
) -> None:
    """The leeway is for clocks that differ; the session ends when it ends, and the log says so."""
    visitor = Client()
    visitor.cookies["sessionid"] = issue(age=-5, iat=1, d={"x": 1})
    assert visit(read, by=visitor).content == b"[]"
    assert [record.reason for record in security_log] == ["expired"]


def test_bad_token_of_a_visitor_who_writes_begins_a_new_session(engine: str, visit: Visit) -> None:
    visitor = Client()
    visitor.cookies["sessionid"] = bad = altered(3)
    visit(write(x=1), by=visitor)
    assert cookie(visitor) not in ("", bad)
    assert visit(read, by=visitor).content == b"[('x', 1)]"


def test_page_that_uses_no_session_decodes_no_token(
    engine: str, visit: Visit, security_log: Any, django_assert_num_queries: Any
) -> None:
    visitor = Client()
    visitor.cookies["sessionid"] = altered(3)
    with django_assert_num_queries(0):
        response = visit(by=visitor)
    assert not security_log
    assert "Vary" not in response.headers
    assert not response.cookies


def test_bad_token_under_save_every_request_makes_no_session(
    engine: str, visit: Visit, settings: Any, django_assert_num_queries: Any
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    visitor = Client()
    visitor.cookies["sessionid"] = altered(3)
    with django_assert_num_queries(0):
        assert not visit(by=visitor).cookies


def test_authentic_token_of_a_session_that_never_was_costs_one_query(
    db_engine: None, visit: Visit, security_log: Any, django_assert_num_queries: Any
) -> None:
    visitor = Client()
    visitor.cookies["sessionid"] = issue()
    with django_assert_num_queries(1):
        response = visit(read, by=visitor)
    assert response.content == b"[]"
    assert not response.cookies


def test_backend_digest_of_another_process_logs_nobody_in(
    cookie_engine: None, visit: Visit, user: Any
) -> None:
    visitor = Client()
    visitor.cookies["sessionid"] = issue(
        sub=str(user.pk), auth_time=time.time(), be="AAAAAA", ah="AAAA"
    )
    assert visit(lambda request: request.user.is_anonymous, by=visitor).content == b"True"
