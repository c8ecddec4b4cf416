"""The site's own sheet: what OWASP ASVS 5.0.0 asks of sessions, and what the settings answer.

`cookies`, `sessions` and `tokens` are tables of requirements, `site` is what they are asked of,
`report` writes the answers down.
"""

from __future__ import annotations

from . import cookies, sessions, tokens
from .requirement import Judged, Requirement
from .site import Site, look

REQUIREMENTS: tuple[Requirement, ...] = (
    *cookies.REQUIREMENTS,
    *sessions.REQUIREMENTS,
    *tokens.REQUIREMENTS,
)


def audit(site: Site | None = None, level: int = 3) -> list[Judged]:
    """Judge each requirement up to a level of ASVS, in the order of their numbers.

    Arguments: `site` is what is known of the site; it is looked at now if there is none.
    """
    site = site or look()
    return [one.judged(site) for one in REQUIREMENTS if one.level <= level]
