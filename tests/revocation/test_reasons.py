"""Why sessions end: a table, and nothing else that knows the codes."""

from __future__ import annotations

import pytest

from django_jwtsession.models import Revocation
from django_jwtsession.revocation.reasons import EndReason, in_words


@pytest.mark.parametrize("reason", EndReason)
def test_every_reason_fits_its_column_and_has_words(reason: EndReason) -> None:
    assert len(reason) <= (Revocation._meta.get_field("reason").max_length or 0)
    assert in_words(reason.value) == str(reason.label) != reason.value


def test_reason_of_a_project_stays_as_it_is_written() -> None:
    assert in_words("moved away") == "moved away"
    assert in_words("") == ""
