"""django-oscar: a visitor's basket becomes the user's at the login."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client
from django.urls import include, path
from oscar.core.loading import get_model
from oscar.test.factories import create_product

from ..site import PAGES, user_of
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("", include(apps.get_app_config("oscar").urls[0]))]
Basket = get_model("basket", "Basket")


@pytest.fixture
def product(db: None) -> Any:
    get_model("sites", "Site")
    return create_product(price=Decimal(10), num_in_stock=5)


def test_basket_is_kept_through_the_login(browser: Client, ada: Any, product: Any) -> None:
    browser.post(f"/basket/add/{product.pk}/", {"quantity": 2})
    assert Basket.objects.get().owner is None
    form = {
        "login-username": "ada@example.com",
        "login-password": PASSWORD,
        "login-redirect_url": "/who/",
        "login_submit": "Log In",
    }
    answer = browser.post("/accounts/login/", form)
    assert answer.status_code == 302, answer.content[:2000]
    assert user_of(browser) == "ada"
    browser.get("/basket/")
    basket = Basket.objects.get(owner=ada, status="Open")
    assert basket.num_items == 2


def test_checkout_keeps_its_steps_in_the_session(browser: Client, ada: Any, product: Any) -> None:
    browser.force_login(ada)
    browser.post(f"/basket/add/{product.pk}/", {"quantity": 1})
    answer: Any = browser.get("/checkout/")
    assert answer.status_code == 302
    assert User.objects.count() == 1
    assert browser.get("/checkout/shipping-address/").status_code in (200, 302)
