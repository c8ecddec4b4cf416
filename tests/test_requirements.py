"""docs/security.md: its table is made from the tests, and its threat model leaves nobody out."""

from __future__ import annotations

import re

import pytest

from django_jwtsession.management.audit import REQUIREMENTS
from tests import requirements

# What is in a site's own papers and templates, so that no test of ours can hold it.
ON_PAPER = {"7.1.1", "7.1.3", "7.6.1"}


def test_table_of_the_page_is_what_the_tests_say() -> None:
    written = requirements.table_of_the_page()
    assert written == requirements.table(), "python -m tests.requirements writes it"


def test_every_mark_names_a_requirement() -> None:
    assert requirements.marked().keys() <= requirements.titles().keys()


def test_every_requirement_has_a_test_but_those_on_paper() -> None:
    on_paper = {f"ASVS {number}" for number in ON_PAPER}
    assert requirements.titles().keys() - requirements.marked().keys() == on_paper
    assert {one.number for one in REQUIREMENTS} >= ON_PAPER


@pytest.mark.parametrize(
    "who",
    [
        "A stranger",
        "A visitor with an old cookie",
        "A thief with a copy",
        "Who reads the database",
        "Who writes to the database",
        "Who has a key",
        "A hostile subdomain",
        "A script in the page",
        "Another site",
        "Malicious staff",
        "A CDN or a cache",
        "A replica that lags",
        "Clocks that differ",
    ],
)
def test_threat_model_says_of_each_what_they_can_do_with_each_engine(who: str) -> None:
    page = requirements.PAGE.read_text(encoding="utf-8")
    part = page.partition(f"\n### {who}")[2].partition("\n### ")[0].partition("\n## ")[0]
    engines = set(re.findall(r"^\| (?:all|.*?`(?:cookie|db|hybrid)`)", part, re.MULTILINE))
    assert engines, f"{who}: no table of engines"
    assert "**A site can add**" in part
