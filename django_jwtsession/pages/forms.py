"""The forms of the pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.signals import user_login_failed
from django.forms.utils import ErrorDict
from django.http import HttpRequest
from django.utils.translation import pgettext_lazy
from django.views.decorators.debug import sensitive_variables

from ..devices.clients import LONGEST_NAME


class ProofForm(forms.Form):
    """What a confirmer asks, of the user of `request`; without fields it proves nothing."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        self.request = request
        super().__init__(*args, **kwargs)


class PasswordForm(ProofForm):
    """Asks for the password of the user who is logged in, whatever name they log in with."""

    password = forms.CharField(
        label=pgettext_lazy("sessions", "Password"),
        strip=False,
        widget=forms.PasswordInput(
            attrs={"autocomplete": "current-password", "autofocus": True},
        ),
    )

    @sensitive_variables()
    def clean_password(self) -> str:
        """Raises ValidationError for a wrong one, of which those hear who listen to logins."""
        password: str = self.cleaned_data["password"]
        user: Any = self.request.user
        if not user.check_password(password):
            credentials = {user.USERNAME_FIELD: user.get_username()}
            user_login_failed.send(sender=__name__, credentials=credentials, request=self.request)
            raise forms.ValidationError(
                pgettext_lazy("sessions", "That is not your password."), code="invalid_password"
            )
        return password


class NameForm(forms.Form):
    """The name that a user gives a device; none takes it away."""

    name = forms.CharField(
        label=pgettext_lazy("sessions", "Name of the device"),
        help_text=pgettext_lazy("sessions", "Such as “Work laptop”. Leave it empty for no name."),
        required=False,
        max_length=LONGEST_NAME,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )

    def clean_name(self) -> str:
        """Leave out what cannot be seen, such as characters that turn the text around."""
        name: str = self.cleaned_data["name"]
        return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def refuse(form: forms.Form, message: str) -> None:
    """Let a form say why it was not looked at."""
    form._errors = ErrorDict()  # type: ignore[attr-defined]
    form.cleaned_data = {}
    form.add_error(next(iter(form.fields), None), message)
