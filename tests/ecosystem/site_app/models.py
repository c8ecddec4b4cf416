"""Something of the site's own, to be changed, audited and imported."""

from __future__ import annotations

from django.db import models


class Thing(models.Model):
    name = models.CharField(max_length=40)

    class Meta:
        app_label = "site_app"

    def __str__(self) -> str:
        return self.name
