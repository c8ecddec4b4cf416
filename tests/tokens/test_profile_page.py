"""docs/token-profile.md against the code: claims, engines, reasons, limits, and its own example."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_jwtsession.conf import get_config
from django_jwtsession.exceptions import Reason
from django_jwtsession.tokens import codec, strict_json
from django_jwtsession.tokens.claims import Claims
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import ALGORITHMS, KeyRing

PAGE = (Path(__file__).parents[2] / "docs" / "token-profile.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in found]


def claims_table() -> dict[str, str]:
    """Return the engines of each claim, by its name."""
    return {row[0].strip("`"): row[2] for row in rows("Claims") if row[0].startswith("`")}


def test_table_has_every_claim_and_no_other() -> None:
    assert sorted(claims_table()) == sorted([*Claims._fields, "place"])


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
def test_each_engine_issues_the_claims_that_the_table_says(
    engine: str, client: Client, user: Any, settings: Any
) -> None:
    settings.JWTSESSION = {"ISSUER": "https://shop.example", "AUDIENCE": "https://shop.example"}
    client.post(reverse("login"), {"username": "ada", "password": "correct horse"})
    session: Any = client.session
    session["cart"] = [7]
    session.save()
    issued = set(get_config().codec.open(session.token, session._began))
    of_engine = {name for name, who in claims_table().items() if who == "all" or engine in who}
    # Each of these has its condition beside it: another place, a proof, a shorter expiry, a size.
    seldom = {"place", "pt", "mx", "big", "nbf", "jkt"}
    assert issued - seldom == of_engine - seldom


def test_algorithms_and_members_of_the_header_are_those_of_the_code() -> None:
    listed = [re.findall(r"`(\w+)`", row[0]) for row in rows("Form")]
    assert [names[0] for names in listed if names] == list(ALGORITHMS)
    header = json.loads(re.findall(r"`(\{.alg.:.dir.[^`]*\})`", PAGE)[0])
    assert header.keys() | {"zip"} == codec._JWE_HEADER


def test_reasons_of_the_reading_order_are_those_of_the_code() -> None:
    found = {row[-1].strip(" `|") for row in rows("Reading, in order") if row[0].isdigit()}
    assert found == {reason.value for reason in Reason} - {Reason.ROW}


def test_limits_are_those_of_the_code() -> None:
    assert f"at most {codec.MAX_LENGTH} characters" in PAGE
    assert f"at most {strict_json.MAX_DEPTH} levels" in PAGE
    assert "256 KiB" in PAGE
    assert f"with {get_config().leeway} s of leeway" in PAGE


def test_example_of_the_page_is_what_it_says() -> None:
    rows_ = dict(
        re.findall(r"^\| (secret|name of the cookie) \| `([^`]+)` \|$", PAGE, re.MULTILINE)
    )
    ring = KeyRing([rows_["secret"]], rows_["name of the cookie"])
    part = PAGE.partition("The token that follows")[2].partition("(in one line)")[0]
    token = "".join(re.findall(r"^    (\S+)$", part, re.MULTILINE))
    payload = json.loads(re.findall(r'^    (\{"sid".*\})$', PAGE, re.MULTILINE)[0])
    now = int(re.findall(r"the time (\d+)\)", PAGE)[0])
    assert Codec(ring).open(token, now) == payload
