"""The neighbours' own suites: where their tests are in the sdist, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Suite:
    """A suite, as pytest runs it from the root of the package's sdist.

    `folder` is where it runs, `paths` are for its modules.

    `settings` are theirs, or ours where the sdist has none (suite_settings.py). `differs` says why
    tests fail with our engines alone: a part of their names, and the reason.
    """

    package: str
    tests: tuple[str, ...]
    settings: str = ""
    folder: str = "."
    paths: tuple[str, ...] = (".",)
    name: str = ""
    both_apps: bool = False
    differs: Mapping[str, str] = field(default_factory=dict)

    @property
    def why(self) -> str:
        return "; ".join(dict.fromkeys(self.differs.values()))

    @property
    def title(self) -> str:
        return self.name or self.package


_ENDED_AT_ONCE = (
    "a password that the test saves beside any request ends the user's sessions at once; Django's"
    " engine keeps them until they are used"
)

_BESIDE_THE_BROWSER = (
    "the test writes to the session beside its browser, whose copy another process trusts for up to"
    " 60 s"
)


def _allauth(project: str, *apps: str, differs: Mapping[str, str] | None = None) -> Suite:
    return Suite(
        "django-allauth",
        tuple(f"tests/apps/{app}" for app in apps),
        f"tests.projects.{project}.settings",
        name=f"django-allauth, project `{project}`: {', '.join(apps)}",
        differs=differs or {},
    )


# All of its admin are 2,451, and ten minutes each time.
_OF_WAGTAIL = (
    "test_account_management.py",
    "test_editing_sessions.py",
    "test_messages.py",
    "test_password_reset.py",
    "test_views.py",
)

SUITES: dict[str, Suite] = {
    "otp": Suite("django-otp", ("src",), "test_project.settings", paths=("src", "test")),
    "social_auth": Suite("social-auth-app-django", ("tests",), "tests.settings"),
    "impersonate": Suite("django-impersonate", ("impersonate/tests.py",), "suite_settings"),
    "loginas": Suite("django-loginas", ("loginas/tests/tests.py",), "loginas.tests.settings"),
    "cas": Suite("django-cas-ng", ("tests",), "suite_settings"),
    "oidc": Suite("mozilla-django-oidc", ("tests",), "suite_settings"),
    "drf": Suite("djangorestframework", ("tests",)),
    "allauth": _allauth(
        "regular",
        "account",
        "mfa",
        "usersessions",
        differs={"test_reauthentication_code_expired": _BESIDE_THE_BROWSER},
    ),
    "allauth_headless": _allauth(
        "headless_only",
        "headless",
        differs={
            "session_auth_hash": _ENDED_AT_ONCE,
            "rejects_anonymous_user_when_not_allowed": _ENDED_AT_ONCE,
        },
    ),
    "axes": Suite(
        "django-axes",
        ("tests",),
        "tests.settings",
        differs={"test_checks": "they compare all messages of `check`, and our I001 is among them"},
    ),
    "formtools": Suite("django-formtools", ("tests",), "tests.settings"),
    "import_export": Suite(
        "django-import-export", ("tests/core",), "settings", paths=("tests", ".")
    ),
    "wagtail": Suite(
        "wagtail",
        tuple(f"wagtail/admin/tests/{each}" for each in _OF_WAGTAIL),
        "wagtail.test.settings",
        name="wagtail: accounts, passwords, messages, editing",
    ),
}
