"""Step-up in the admin: actions and pages that ask for the password where the login is old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.utils.translation import gettext

from ..pages.confirm import ConfirmView
from ..pages.stepup import MAX_AGE, is_fresh

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

_AGAIN = "again"


class FreshLoginAdminMixin(_ModelAdmin):
    """For a ModelAdmin some of whose actions and pages need a recent login.

    `max_login_age` is in seconds, None asks nobody; `fresh_login_actions` are names of actions,
    `fresh_login_views` of methods that are views. The page that asks is one of the admin's. What a
    form sent is not sent again: one comes back to the page, and a message says so.
    """

    max_login_age: float | None = MAX_AGE
    fresh_login_actions: tuple[str, ...] = ("delete_selected",)
    fresh_login_views: tuple[str, ...] = ("delete_view",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.fresh_login_views:
            setattr(self, name, self._asking(getattr(self, name)))

    def ask_for_login(self, request: HttpRequest) -> HttpResponseBase | None:
        """Return the way to the password page, None where the login is fresh enough."""
        if self.max_login_age is None or is_fresh(request, self.max_login_age):
            return None
        query = {REDIRECT_FIELD_NAME: request.get_full_path()}
        if request.method == "POST":
            query[_AGAIN] = "1"
        url = reverse(f"{self.admin_site.name}:{self._confirm_name}")
        return HttpResponseRedirect(f"{url}?{urlencode(query)}")

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        # The second argument is new in Django 6.1, as are actions that are no tuples.
        where = {} if action_location is None else {"action_location": action_location}
        actions: dict[str, Any] = super().get_actions(request, **where)
        for name in self.fresh_login_actions:
            action = actions.get(name)
            if isinstance(action, tuple):
                actions[name] = (self._asking_action(action[0]), *action[1:])
            elif action is not None:
                actions[name] = replace(action, func=self._asking_action(action.func))
        return actions

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.confirm_login_view)
        return [path("confirm-login/", view, name=self._confirm_name), *super().get_urls()]

    def confirm_login_view(self, request: HttpRequest) -> HttpResponseBase:
        """Ask for the password, and lead back."""
        request.current_app = self.admin_site.name
        list_name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        view = AdminConfirmView.as_view(
            next_page=reverse(f"{self.admin_site.name}:{list_name}"),
            extra_context={**self.admin_site.each_context(request), "opts": self.opts},
        )
        return view(request)

    @property
    def _confirm_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_confirm_login"

    def _asking(self, view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def asking(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return self.ask_for_login(request) or view(request, *args, **kwargs)

        return asking

    def _asking_action(self, action: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(action)
        def asking(model_admin: Any, request: HttpRequest, queryset: Any) -> Any:
            return self.ask_for_login(request) or action(model_admin, request, queryset)

        return asking


class AdminConfirmView(ConfirmView):
    """The page that asks for the password, in the admin's frame."""

    template_name = "jwtsession/admin/confirm.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        again = _AGAIN in (self.request.POST or self.request.GET)
        title = gettext("Confirm that it is you")
        return super().get_context_data(title=title, again=again, **kwargs)

    def form_valid(self, form: Any) -> Any:
        if _AGAIN in self.request.POST:
            text = gettext("Your password was confirmed. Nothing was done yet: please do it again.")
            messages.info(self.request, text, fail_silently=True)
        return super().form_valid(form)
