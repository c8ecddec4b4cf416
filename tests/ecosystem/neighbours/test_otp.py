"""django-otp: a device proved at the login stays proved."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse
from django.test import Client
from django.urls import path
from django_otp import login as prove_device
from django_otp import match_token
from django_otp.plugins.otp_static.models import StaticDevice

from ..site import PAGES, sign_in, user_of
from .conftest import PASSWORD


def prove(request: Any) -> JsonResponse:
    device = match_token(request.user, request.GET["token"])
    if device is not None:
        prove_device(request, device)
    return JsonResponse({"verified": request.user.is_verified()})


def verified(request: Any) -> JsonResponse:
    return JsonResponse({"verified": request.user.is_verified()})


urlpatterns = [*PAGES, path("prove/", prove), path("verified/", verified)]


def is_verified(browser: Client) -> bool:
    answer: bool = browser.get("/verified/").json()["verified"]
    return answer


def test_device_stays_proved_and_its_token_counts_once(browser: Client, ada: Any) -> None:
    device = StaticDevice.objects.create(user=ada, name="backup")
    device.token_set.create(token="token-1")
    sign_in(browser, "ada", PASSWORD)
    browser.get("/prove/", {"token": "wrong"})
    assert not is_verified(browser)
    device.throttle_reset()
    browser.get("/prove/", {"token": "token-1"})
    assert is_verified(browser)
    form = {"old_password": PASSWORD, "new_password1": "x-1234-y!", "new_password2": "x-1234-y!"}
    assert browser.post("/password/", form).status_code == 302
    assert is_verified(browser)
    other = Client()
    sign_in(other, "ada", "x-1234-y!")
    other.get("/prove/", {"token": "token-1"})
    assert user_of(other) == "ada"
    assert not is_verified(other)
