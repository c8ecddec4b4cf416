"""Asking the site's own function, JWTSESSION["POLICY"], and what a session keeps of its answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from ..conf import Config
from ..policy import Policy

NONE = Policy()


class Admitted(NamedTuple):
    """A user who may log in; `is_again` where the session is theirs already."""

    user: str
    policy: Policy
    is_again: bool


def ask(config: Config, user: Any, request: HttpRequest) -> Policy:
    """Return what holds for a login.

    What the function raises is the site's own error and goes through. Raises ImproperlyConfigured
    where it returns anything but a Policy.
    """
    if config.policy is None:
        return Policy()
    answer = config.policy_function(user, request)
    if not isinstance(answer, Policy):
        raise ImproperlyConfigured(
            f'JWTSESSION["POLICY"], {config.policy}, returned a {type(answer).__name__}. Return'
            " django_jwtsession.policy.Policy(..); Policy() leaves what the settings say."
        )
    return answer


def kept(policy: Policy, wants_persistent: bool) -> dict[str, Any]:
    """Return what the session keeps of a policy; what it says goes before what the user wants."""
    persistent = policy.persistent
    if persistent is None and wants_persistent:
        persistent = True
    values = {"idle": policy.idle, "absolute": policy.absolute, "persistent": persistent}
    return {name: value for name, value in values.items() if value is not None}
