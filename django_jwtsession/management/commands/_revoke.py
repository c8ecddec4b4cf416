"""``manage.py jwtsession revoke`` by what sessions have in common: user, address, age."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import router
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ...conf import Config, get_config
from ...devices.networks import Network, is_in, network
from ...models.addresses import in_network
from ...models.tables import SessionEvent
from ...pages.listing import ENDS, engine_model
from ...revocation.ending import revoke_session
from ...revocation.reasons import EndReason

_BATCH = 1000


@dataclass(frozen=True)
class Wanted:
    """What the sessions to end have in common; None is any."""

    user_id: Any = None
    network: Network | None = None
    before: datetime | None = None


def add_arguments(parser: CommandParser) -> None:
    """Take --user and --sid and --all, one of them, or --user, --ip and --before together."""
    parser.add_argument("--user", metavar="NAME", help="all sessions of a user")
    parser.add_argument("--sid", help="one session, by the id that list shows")
    parser.add_argument("--all", action="store_true", help="the sessions of all users")
    parser.add_argument(
        "--ip", metavar="NETWORK", help="sessions from an address or network: 192.0.2.0/24"
    )
    parser.add_argument(
        "--before",
        metavar="TIME",
        help="sessions that were signed in to before that: 2026-11-20 or 2026-11-20T08:30+01:00",
    )
    parser.add_argument("--dry-run", action="store_true", help="with --ip or --before: count them")


def network_of(text: str) -> Network:
    """Return the network that was asked for, as wide as STORE_IP keeps addresses.

    Raises CommandError for what is none.
    """
    found = network(text)
    if found is None:
        raise CommandError(f"{text!r} is no address and no network, such as 192.0.2.0/24.")
    return _as_stored(found, get_config())


def _as_stored(found: Network, config: Config) -> Network:
    length = 24 if found.version == 4 else 48
    if config.store_ip == "prefix" and found.prefixlen > length:
        return ipaddress.ip_network((found.network_address, length), strict=False)
    return found


def moment_of(text: str) -> datetime:
    """Return the time that was asked for, in the site's time zone where it names none.

    Raises CommandError for what is none.
    """
    try:
        day = parse_date(text)
        at = datetime.combine(day, time()) if day is not None else parse_datetime(text)
        if at is not None:
            # In UTC, as databases keep it, the first and the last day are not whole.
            return (timezone.make_aware(at) if timezone.is_naive(at) else at).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise CommandError(f"{text!r} is no time: write 2026-11-20 or 2026-11-20T08:30+01:00.")


def revoke_where(wanted: Wanted, dry_run: bool = False) -> int:
    """End the sessions that are all of what is wanted; return how many there were.

    Arguments: with `dry_run` they are only counted. Without rows, as with the cookie engine, they
    are the logins of the history that nothing has ended.
    """
    model, count = engine_model(), 0
    if model is None:
        for sid in _logins(wanted):
            count += 1
            if not dry_run:
                revoke_session(sid, reason=EndReason.COMMAND)
        return count
    rows = model.objects.in_force().filter(_condition(wanted, "authenticated_at", model.objects.db))
    for pks in _batches(rows, wanted.network):
        found = model.objects.filter(pk__in=pks)
        count += found.count() if dry_run else found.revoke(reason=EndReason.COMMAND)
    return count


def _condition(wanted: Wanted, since: str, using: str) -> Q:
    condition = Q()
    if wanted.user_id is not None:
        condition &= Q(user_id=wanted.user_id)
    if wanted.network is not None:
        condition &= in_network(wanted.network, using)
    if wanted.before is not None:
        began = Q(**{f"{since}__lt": wanted.before})
        if since != "created_at":  # an anonymous session, which began when it was made
            began |= Q(**{since: None, "created_at__lt": wanted.before})
        condition &= began
    return condition


def _batches(rows: QuerySet[Any], found: Network | None) -> Iterator[list[Any]]:
    """Yield keys of rows; the next ones are read when these have been dealt with."""
    rest = rows.order_by("pk")
    while batch := list(rest.values_list("pk", "ip_address")[:_BATCH]):
        yield [pk for pk, address in batch if found is None or is_in(address, found)]
        rest = rows.order_by("pk").filter(pk__gt=batch[-1][0])


def _logins(wanted: Wanted) -> Iterator[str]:
    """Yield the sids of logins in the history that no event has ended."""
    using = router.db_for_write(SessionEvent)
    events = SessionEvent.objects.using(using)
    logins = events.filter(_condition(wanted, "created_at", using), kind__in=SessionEvent.BEGINS)
    for pks in _batches(logins.exclude(sid=""), wanted.network):
        sids = set(events.filter(pk__in=pks).values_list("sid", flat=True))
        ended = events.filter(sid__in=sids, kind__in=ENDS).values_list("sid", flat=True)
        yield from sorted(sids - set(ended))
