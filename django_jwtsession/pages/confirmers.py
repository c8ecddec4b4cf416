"""How users prove who they are: the password, and whatever else a site registers.

    class Code(Confirmer):
        name, methods, label = "code", frozenset({"otp"}), _("a code from my app")
        form_class = CodeForm

    register(Code())

A confirmer asks by a form on our own page (`form_class`), or leads to a page of its own and back
(`begin` and `finish`). `methods` are Authentication Method Reference Values (RFC 8176): "pwd",
"otp", "hwk", or words of the site's own.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.http import HttpRequest
from django.utils.translation import pgettext_lazy

from .forms import PasswordForm, ProofForm


class Confirmer:
    """One way to prove who one is. Subclass it and register() an instance.

    `name` stands in addresses, `label` on the page, after "Confirm with". That a form is valid is
    the proof.
    """

    name: str = ""
    methods: frozenset[str] = frozenset()
    label: Any = ""
    form_class: type[ProofForm] | None = None

    def is_for(self, request: HttpRequest) -> bool:
        """Tell whether the user of this request can prove it in this way."""
        return True

    def begin(self, request: HttpRequest, back: str) -> str:
        """Return the address of the page that asks; it is to lead to `back`, a path of the site."""
        raise NotImplementedError

    def finish(self, request: HttpRequest, since: float) -> Collection[str]:
        """Return what was proved after `since` (Unix time), nothing where nothing was."""
        raise NotImplementedError


class Password(Confirmer):
    """The password, for users who have one."""

    name = "password"
    methods = frozenset({"pwd"})
    label = pgettext_lazy("confirm with", "my password")
    form_class = PasswordForm

    def is_for(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_usable_password())


_registered: dict[str, Confirmer] = {}


def register(confirmer: Confirmer) -> None:
    """Offer a confirmer, in the place of one of the same name; best in an AppConfig's ready()."""
    _registered[confirmer.name] = confirmer


def unregister(name: str) -> None:
    """Offer a confirmer no more, such as "password". Raises KeyError where there is none."""
    del _registered[name]


def available(request: HttpRequest, methods: Collection[str] = ()) -> list[Confirmer]:
    """Return those that this user can use, and that prove one of `methods` (any where empty)."""
    return [
        one
        for one in _registered.values()
        if (not methods or not one.methods.isdisjoint(methods)) and one.is_for(request)
    ]


register(Password())
