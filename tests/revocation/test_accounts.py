"""Whose signals are listened to; what follows in requests is in tests/test_users_that_go.py."""

# ruff: noqa: DJ008 - nobody reads these models

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, models
from django.db.models.signals import ModelSignal
from django.test.utils import isolate_apps

from django_jwtsession.revocation import accounts

from ..factories import PASSWORD, UserFactory


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[str]]:
    """Return what is told of an object of a model, by signals and receivers of the test's own."""

    def remember(**kwargs: Any) -> str:
        return "loaded"

    def on_save(**kwargs: Any) -> str:
        return "saved"

    def on_delete(**kwargs: Any) -> str:
        return "deleted"

    signals = [ModelSignal() for _ in range(3)]
    for name, signal in zip(("post_init", "post_save", "post_delete"), signals, strict=True):
        monkeypatch.setattr(accounts, name, signal)
    for receiver in (remember, on_save, on_delete):
        monkeypatch.setattr(accounts, f"_{receiver.__name__}", receiver)

    def told(model: Any) -> list[str]:
        return [str(said) for signal in signals for _, said in signal.send(model)]

    return told


@isolate_apps("tests")
def test_told_of_a_users_model_are_what_its_table_and_its_parts_say(
    told: Callable[[Any], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, however often the app is made ready."""

    class Person(models.Model):
        pass

    class Account(models.Model):
        account = models.AutoField(primary_key=True)

    class User(Person, Account):
        person = models.OneToOneField(
            Person, models.CASCADE, parent_link=True, primary_key=True, related_name="+"
        )
        account_of = models.OneToOneField(
            Account, models.CASCADE, parent_link=True, related_name="+"
        )

    class Proxy(User):
        class Meta:
            proxy = True

    class Customer(User):
        pass

    class Order(models.Model):
        pass

    everything = [Person, Account, User, Proxy, Customer, Order]
    apps = SimpleNamespace(get_models=lambda: everything)
    monkeypatch.setattr(accounts, "apps", apps)
    for _ in range(2):
        accounts.watch(User)
    assert {model.__name__: told(model) for model in everything} == {
        "Person": ["loaded", "saved"],
        "Account": [],  # whose key is another's
        "User": ["loaded", "saved", "deleted"],
        "Proxy": ["loaded", "saved", "deleted"],
        "Customer": ["loaded", "saved"],
        "Order": [],
    }


# --- a password that is hashed anew, outside of requests -----------------------------------------


@pytest.fixture
def stale(db: None, settings: Any) -> Any:
    """A user whose password a check of it hashes anew."""
    user = UserFactory()
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    return user


def test_there_is_no_session_to_go_on_and_nothing_to_say(
    stale: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before = stale.password
    assert stale.check_password(PASSWORD)
    assert stale.password != before
    assert caplog.records == []


def test_session_that_cannot_go_on_is_no_error_of_who_checks_the_password(
    stale: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise DatabaseError("read-only")

    monkeypatch.setattr(accounts, "_go_on_under_new_hash", fail)
    assert stale.check_password(PASSWORD)
    assert caplog.messages == ["What was left for after the answer could not be done."]
