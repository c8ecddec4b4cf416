"""Models as projects have them that make sessions harder.

Users whose primary key is text of its own class, which prepares values and nothing else; users in
two tables; rows that hang on sessions.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models


class Name:
    """A key as tests/custom_pk in Django's own tests has it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class NameField(models.CharField):
    """Takes a Name, or its text; anything else, an expression say, is a mistake."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else Name(value)

    def to_python(self, value: Any) -> Any:
        return value if value is None or isinstance(value, Name) else Name(str(value))

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, Name):
            return value.text
        raise TypeError(f"no value: {type(value).__name__}")

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        """Values only, as theirs."""
        return self.get_prep_value(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return self.get_prep_value(value)


class OddUser(AbstractUser):
    """A user with such a key."""

    name = NameField(primary_key=True, max_length=40)

    class Meta:
        app_label = "odd_site"


class Person(AbstractUser):
    """The first table of users in two."""

    class Meta:
        app_label = "odd_site"


class Member(Person):
    """A user whose primary key is the link to the first table."""

    number = models.IntegerField(default=0)

    class Meta:
        app_label = "odd_site"


class Cart(models.Model):
    """What a shop keeps for a visitor, for as long as the session lives."""

    session = models.ForeignKey("django_jwtsession.Session", models.CASCADE)

    class Meta:
        app_label = "odd_site"

    def __str__(self) -> str:
        return f"cart {self.pk}"


class Visit(models.Model):
    """What a site counts, also when the session is over."""

    session = models.ForeignKey("django_jwtsession.Session", models.SET_NULL, null=True)

    class Meta:
        app_label = "odd_site"

    def __str__(self) -> str:
        return f"visit {self.pk}"
