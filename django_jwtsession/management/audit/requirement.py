"""A requirement of the standard, and what can be said of a site about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .site import Site

STANDARD = "OWASP ASVS 5.0.0"


class Verdict(StrEnum):
    """`yours`: no setting shows it; it is in the site's own code or papers."""

    MET = "met"
    NOT_MET = "not met"
    YOURS = "yours"


@dataclass(frozen=True)
class Finding:
    """What decides a requirement.

    `setting` is what decides, "" for none; `why` one sentence with its value; `write` what to write
    or do, "" for nothing. `beside` says what cookies of Django's own leave open.
    """

    verdict: Verdict
    setting: str
    why: str
    write: str = ""
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Requirement:
    """`number` is that of ASVS 5.0.0, `level` 1 to 3, `asks` what it asks in our words."""

    number: str
    level: int
    asks: str
    judge: Callable[[Site], Finding]

    def judged(self, site: Site) -> Judged:
        """Return the requirement with what is found on a site."""
        return Judged(self, self.judge(site))


@dataclass(frozen=True)
class Judged:
    """A requirement and its finding."""

    requirement: Requirement
    finding: Finding


def met(setting: str, why: str) -> Finding:
    return Finding(Verdict.MET, setting, why)


def not_met(setting: str, why: str, write: str) -> Finding:
    return Finding(Verdict.NOT_MET, setting, why, write)


def yours(setting: str, why: str, write: str) -> Finding:
    return Finding(Verdict.YOURS, setting, why, write)


def of_engine(judge: Callable[[Site], Finding]) -> Callable[[Site], Finding]:
    """Ask `judge` only where this package answers: with its engine, and settings that hold."""

    def ask(site: Site) -> Finding:
        if site.engine == "none":
            return not_met(
                "SESSION_ENGINE",
                f"{site.engine_path} is no engine.",
                "See what `manage.py check` says.",
            )
        if not site.is_ours:
            return yours(
                "SESSION_ENGINE",
                f"{site.engine_path} is no engine of this package, which cannot speak for it.",
                "SESSION_ENGINE = 'django_jwtsession.backends.hybrid', or judge that engine.",
            )
        if site.trouble:
            return not_met(site.troubled_setting, site.trouble, "See what `manage.py check` says.")
        return judge(site)

    return ask
