"""The app; its label is part of the table's name and never changes."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import pgettext_lazy


class DBSCConfig(AppConfig):
    name = "django_jwtsession.contrib.dbsc"
    label = "dbsc"
    verbose_name = pgettext_lazy("sessions", "Sessions bound to devices")
    # What `jwtsession export` and `erase` find by the sids of a person.
    models_by_sid = ("Binding",)

    def ready(self) -> None:
        import_module(f"{self.name}.hooks").connect()
