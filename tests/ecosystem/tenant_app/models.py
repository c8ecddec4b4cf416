"""Tenants, as django-tenants has a site write them."""

from __future__ import annotations

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Client(TenantMixin):
    name = models.CharField(max_length=40)
    auto_create_schema = True
    auto_drop_schema = True


class Domain(DomainMixin):
    pass
