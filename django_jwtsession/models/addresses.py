"""Finding rows by the network of their address, through the index of the column."""

from __future__ import annotations

from django.db import connections
from django.db.models import Q

from ..devices.networks import Network, beginnings


def in_network(found: Network, using: str) -> Q:
    """Return the condition on `ip_address`; where addresses are text, it may let others pass.

    Arguments: `using` is the database. PostgreSQL compares addresses, others compare text: "g" is
    behind every digit and colon, in every collation.
    """
    if connections[using].vendor == "postgresql":
        first, last = str(found[0]), str(found[-1])
        return Q(ip_address__gte=first, ip_address__lte=last)
    condition = Q()
    for text in beginnings(found):
        if text.endswith((".", ":")):
            condition |= Q(ip_address__gte=text, ip_address__lt=f"{text}g")
        elif text:
            condition |= Q(ip_address=text)
        else:
            return Q(ip_address__isnull=False)
    return condition
