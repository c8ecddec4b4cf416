"""What the history knows of a user's devices: which are new, which are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import router

from ..models.kinds import EventKind
from ..models.registry import event_model

if TYPE_CHECKING:
    from ..models.tables import SessionEvent

# A user's devices that a login is compared with: more than people have, less than a table scan.
_DEVICES_COMPARED = 500


def rows() -> Any:
    """Return the history, read and written where the writes go."""
    return event_model().objects.using(database())


def database() -> str:
    """Return the alias of the history's database."""
    return router.db_for_write(event_model())


def is_new(event: SessionEvent) -> bool:
    """Tell whether the user of a login has logged in before, and never on its device."""
    user_id: Any = event.user_id
    logins = rows().filter(user_id=user_id, kind=event.kind)
    # As nearly always; who logs in a thousand times a month must not have them all compared.
    if logins.filter(browser=event.browser, os=event.os, device=event.device).exists():
        return False
    known = _devices_of(user_id)
    return bool(known) and device_of(event) not in known


def _devices_of(user_id: Any) -> set[tuple[str, str, str]]:
    """Return the devices on which the user has logged in before, as far as the history goes."""
    logins = rows().filter(user_id=user_id, kind=EventKind.LOGIN)
    found = logins.order_by().values("browser", "os", "device").distinct()[:_DEVICES_COMPARED]
    return {device_of(event_model()(**row)) for row in found}


def device_of(event: SessionEvent) -> tuple[str, str, str]:
    """Return what stays the same when a browser is updated: "Firefox 149" is "Firefox"."""
    family, _, version = event.browser.rpartition(" ")
    browser = family if family and version.isdigit() else event.browser
    return browser, event.os, event.device


def is_same(event: SessionEvent, other: SessionEvent) -> bool:
    """Tell whether two events have one device and address, as far as addresses are known."""
    addresses = {event.ip_address, other.ip_address} - {None}
    return len(addresses) < 2 and device_of(event) == device_of(other)


def is_known(event: SessionEvent) -> bool:
    """Tell whether the user has logged in with the device of an event from its address."""
    user_id: Any = event.user_id
    logins = rows().filter(
        user_id=user_id, kind=EventKind.LOGIN, ip_address=event.ip_address, device=event.device
    )
    if event.ip_address is None:  # of a device alone there are too many
        return False
    found = logins.order_by().values("browser", "os", "device").distinct()[:_DEVICES_COMPARED]
    return device_of(event) in {device_of(event_model()(**row)) for row in found}
