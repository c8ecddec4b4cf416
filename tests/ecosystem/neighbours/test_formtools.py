"""django-formtools: a wizard in the session."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import JsonResponse
from django.test import Client
from django.urls import path
from formtools.wizard.views import SessionWizardView

from ..site import PAGES


class First(forms.Form):
    name = forms.CharField()


class Second(forms.Form):
    text = forms.CharField()


class Wizard(SessionWizardView):
    template_name = "ecosystem/wizard.html"
    form_list = (First, Second)

    def done(self, form_list: Any, **kwargs: Any) -> JsonResponse:
        return JsonResponse(self.get_all_cleaned_data())


urlpatterns = [*PAGES, path("wizard/", Wizard.as_view())]


def test_wizard_goes_on_where_it_was(browser: Client, db: None) -> None:
    browser.get("/wizard/")
    browser.post("/wizard/", {"wizard-current_step": "0", "0-name": "n" * 3000})
    browser.get("/who/?x=1")
    answer = browser.post("/wizard/", {"wizard-current_step": "1", "1-text": "t"})
    assert answer.json() == {"name": "n" * 3000, "text": "t"}
