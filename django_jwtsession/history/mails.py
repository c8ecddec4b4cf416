"""Mails on a new device and on a copied cookie: NEW_DEVICE_EMAIL and TOKEN_REUSE_EMAIL.

A mail is written where its signal is sent, in the language and time zone of that request, and goes
out after the commit, from a thread: the response waits for no mail server. No failure here breaks a
login.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import DisallowedHost, ImproperlyConfigured, ObjectDoesNotExist
from django.core.mail import EmailMultiAlternatives
from django.db import connections, router
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from ..conf import get_config, in_test_environment
from ..devices import clients as devices
from ..devices.locations import location
from ..models.tables import SessionEvent
from .events import after_commit
from .known import device_of

# Where a password is changed: of Django, of allauth.
_PASSWORD_PAGES = ("password_change", "account_change_password")
# What is said of a copy of the cookie, however it was found.
_TEMPLATES = {"binding_failed": "token_reuse"}

logger = logging.getLogger("django_jwtsession")


def on_new_device(event: SessionEvent, environ: Mapping[str, Any], **kwargs: Any) -> None:
    if get_config().new_device_email:
        send_alarm(event, environ)


def on_token_reused(event: SessionEvent, environ: Mapping[str, Any], **kwargs: Any) -> None:
    if get_config().token_reuse_email:
        send_alarm(event, environ)


def send_alarm(event: SessionEvent, environ: Mapping[str, Any]) -> None:
    """Mail the user of an event about it, once for a device; raise nothing.

    Arguments: what the signals `new_device` and `token_reused` send. A receiver of one's own may
    call it with another language or time zone active.
    """
    with _logged(event):
        message = alarm_message(event, environ)
        if message is not None:
            after_commit(partial(_send, event, message))


def alarm_message(event: SessionEvent, environ: Mapping[str, Any]) -> EmailMultiAlternatives | None:
    """Write the mail about an event; None where its user has no address.

    Arguments: see send_alarm(). The templates are `jwtsession/mail/<event.kind>_subject.txt`,
    `<event.kind>.txt` and `<event.kind>.html`.
    """
    users: Any = get_user_model()
    user = users._base_manager.using(router.db_for_write(users)).filter(pk=event.user_id).first()
    address = user and getattr(user, user.get_email_field_name(), None)
    if not address:
        return None
    # No browser has a dot in its name, but a program can say that it is called "evil.example", and
    # mail readers make a link of that.
    browser = "" if "." in event.browser else event.browser
    context = {
        "user": user,
        "event": event,
        "device": devices.words(browser, event.os),
        "time_zone": timezone.get_current_timezone_name(),
        "location": location(event.ip_address),
        "site": _site_name(environ),
        "sessions_url": _url_of(environ, "jwtsession:sessions"),
        "password_url": _url_of(environ, *_PASSWORD_PAGES),
    }
    template = f"jwtsession/mail/{_TEMPLATES.get(event.kind, event.kind)}"
    subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())
    text = render_to_string(f"{template}.txt", context)
    headers = {"Auto-Submitted": "auto-generated"}  # RFC 3834: no "out of office" comes back
    message = EmailMultiAlternatives(subject, text, None, [address], headers=headers)
    message.attach_alternative(render_to_string(f"{template}.html", context), "text/html")
    return message


def _site_name(environ: Mapping[str, Any]) -> str:
    """Return what the site calls itself: the name in django.contrib.sites, or its host; or ""."""
    try:
        name: str = get_current_site(_request(environ)).name
    except (DisallowedHost, KeyError, ObjectDoesNotExist, ImproperlyConfigured):
        return ""
    return name


def _request(environ: Mapping[str, Any]) -> HttpRequest:
    request = HttpRequest()
    request.META = dict(environ)
    return request


def _path_of(*names: str) -> str:
    """Return the path of the first of some pages that the site has. Raises NoReverseMatch."""
    for name in names[:-1]:
        with suppress(NoReverseMatch):
            return reverse(name)
    return reverse(names[-1])


def _url_of(environ: Mapping[str, Any], *names: str) -> str | None:
    """Return the address of the first of some pages that the site has; None if it has none.

    Nor where ALLOWED_HOSTS does not know the request's host: the mail must not lead elsewhere, and
    a wrong Host must not keep it from being sent.
    """
    request = _request(environ)
    try:
        host, path = request.get_host(), _path_of(*names)
    except (DisallowedHost, KeyError, NoReverseMatch):
        return None
    # META says nothing of the scheme under ASGI; a site with a Secure cookie is on https.
    secure = (
        request.is_secure()
        or environ.get("wsgi.url_scheme") == "https"
        or settings.SESSION_COOKIE_SECURE
    )
    return f"{'https' if secure else 'http'}://{host}{path}"


def _send(event: SessionEvent, message: EmailMultiAlternatives) -> None:
    """Send a mail from a thread; in Django's test environment at once, so that tests find it.

    The thread is no daemon: a server that stops waits for the mail.
    """
    with _logged(event):
        if not _is_first(event):
            return
        if in_test_environment():
            message.send()
        else:
            threading.Thread(
                target=_send_apart, args=(event, message), name="jwtsession-mail"
            ).start()


def _send_apart(event: SessionEvent, message: EmailMultiAlternatives) -> None:
    with _logged(event):
        message.send()
    connections.close_all()  # this thread's: some mail backends write to a table


def _is_first(event: SessionEvent) -> bool:
    """Tell whether no parallel login has alarmed the user of this device.

    Asked after the commit. Of two events the one that was written first is mailed in any case, so
    that none is lost; the other too only where it was committed while the first was not.
    """
    if event.kind != SessionEvent.Kind.NEW_DEVICE:
        return True
    user_id: Any = event.user_id
    alarms = SessionEvent.objects.using(router.db_for_write(SessionEvent)).filter(
        user_id=user_id, kind=event.kind, os=event.os, device=event.device
    )
    same = (one for one in alarms.order_by("pk") if device_of(one) == device_of(event))
    return next(same, event).sid == event.sid


@contextmanager
def _logged(event: SessionEvent) -> Iterator[None]:
    """Log the type of an error alone: the text of a mail server's names the address."""
    try:
        yield
    except Exception as error:  # templates, the database, whatever a mail backend raises
        logger.warning(
            "The mail about the event %r could not be sent: %s.",
            str(event.kind),
            type(error).__name__,
            extra={"sid": event.sid},
        )
