"""The tables. A row of Session exists exactly as long as the session can be used."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models, router
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..devices.clients import words
from ..tokens.sid import sid_from_uuid
from .installed import require_app
from .kinds import EventKind
from .managers import EventManager, RevocationManager, SessionManager
from .times import UnixNow

if TYPE_CHECKING:
    from ..backends.db import SessionStore

require_app()


class DeviceColumns(models.Model):
    """Who was there: address and browser of a request."""

    ip_address = models.GenericIPAddressField(
        pgettext_lazy("sessions", "IP address"), null=True, blank=True
    )
    user_agent = models.CharField(_("user agent"), max_length=512, blank=True, default="")
    browser = models.CharField(_("browser"), max_length=64, blank=True, default="")
    os = models.CharField(_("operating system"), max_length=64, blank=True, default="")
    device = models.CharField(_("device"), max_length=64, blank=True, default="")

    class Meta:
        abstract = True

    @property
    def device_words(self) -> str:
        """The device as people say it: "Firefox 149 on Ubuntu"."""
        return words(self.browser, self.os)


class AbstractSession(DeviceColumns):
    """One session of one browser. Subclass it to add columns, as Django documents for its own.

    The table alone opens nothing: the cookie is a token made with the site's keys, and `id` is
    only what it names.
    """

    id = models.UUIDField(_("session id"), primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=pgettext_lazy("sessions", "user"),
        null=True,
        blank=True,
        # Users may live in another database, where a cascade finds no table of ours; what follows
        # from their end is done in history/users.py. A login takes no lock on the user's row.
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    data = models.BinaryField(_("data"), default=b"")
    version = models.PositiveBigIntegerField(pgettext_lazy("sessions", "version"), default=1)
    # The millisecond at which it began; tokens and keys of an earlier one open nothing.
    epoch = models.PositiveBigIntegerField(_("epoch"), default=0)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    authenticated_at = models.DateTimeField(_("signed in"), null=True, blank=True)
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    generation = models.PositiveBigIntegerField(_("generation"), default=0)
    generation_confirmed_at = models.DateTimeField(_("generation confirmed"), null=True, blank=True)
    next_issued_at = models.DateTimeField(_("next generation issued"), null=True, blank=True)
    # Until when tokens of the engine `cookie` for this session can live, if there may be any.
    cookie_until = models.DateTimeField(_("cookies live until"), null=True, blank=True)

    objects: ClassVar[SessionManager] = SessionManager()

    class Meta:
        abstract = True
        verbose_name = pgettext_lazy("sessions", "session")
        verbose_name_plural = pgettext_lazy("sessions", "sessions")
        default_permissions = ("add", "change", "delete", "view", "revoke")
        indexes: ClassVar[list[models.Index]] = [
            # With the end in them, the admin counts sessions without a look at the rows; those that
            # begin with a part of the device are for its filters. They grow where the last session
            # was seen: a row that is written again finds their pages at hand.
            models.Index(fields=["user", "last_seen_at", "expires_at"]),
            models.Index(fields=["last_seen_at", "expires_at"]),
            models.Index(fields=["expires_at"]),
            models.Index(fields=["browser", "last_seen_at", "expires_at"]),
            models.Index(fields=["os", "last_seen_at", "expires_at"]),
            models.Index(fields=["device", "last_seen_at", "expires_at"]),
            models.Index(fields=["ip_address"]),
        ]

    def __str__(self) -> str:
        """Name the device, never the id or a token."""
        return self.device_words

    @property
    def sid(self) -> str:
        """The id as `session.sid` writes it."""
        return sid_from_uuid(self.id)

    @classmethod
    @cache
    def own_columns(cls) -> tuple[str, ...]:
        """Return the names of the columns that a project's model adds to these."""
        known = {field.name for field in AbstractSession._meta.local_fields}
        fields = cls._meta.concrete_fields
        return tuple(field.attname for field in fields if field.name not in known)

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        """Return the SessionStore that works on this model."""
        raise NotImplementedError

    def get_decoded(self) -> dict[str, Any]:
        """Return the session data, {} where it cannot be read; as Django's."""
        return self.get_session_store_class()().decode_row(self)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> Any:
        """As Django's, and the session ends, as by SessionQuerySet.revoke()."""
        if self.pk is None:
            return super().delete(using, keep_parents)  # which refuses it
        model = type(self)
        using = using or router.db_for_write(model, instance=self)
        deleted = model.objects.using(using).filter(pk=self.pk).delete()
        self.pk = None
        return deleted

    @property
    def expire_date(self) -> datetime:
        """The end, under the name that it has in Django's table."""
        return self.expires_at

    @property
    def session_key(self) -> str | None:
        """The key that opens this session: a credential. None where the row cannot be read."""
        return self.get_session_store_class()().key_of_row(self)


class Session(AbstractSession):
    """The sessions of the engines `db` and `hybrid`."""

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        from ..backends.db import SessionStore

        return SessionStore


class Revocation(models.Model):
    """An ended session, or all of a user's, for as long as a token of it could still be valid.

    Times are seconds since 1970 in UTC: no zone, no hour that comes twice, nothing to parse.
    """

    class Kind(models.TextChoices):
        SESSION = "s", _("a session")
        USER = "u", _("all sessions of a user")
        EVERYONE = "e", _("all sessions")

    kind = models.CharField(_("kind"), max_length=1, choices=Kind.choices)
    # The sid, or the user's pk as text; "" for everyone.
    name = models.CharField(
        pgettext_lazy("sessions", "name"), max_length=255, blank=True, default=""
    )
    # Of a session: tokens up to this epoch (milliseconds) are ended; none means for good.
    epoch = models.BigIntegerField(_("up to epoch"), null=True, blank=True)
    # Of a user or everyone: logins from before this moment are ended.
    before = models.FloatField(_("sessions from before"), null=True, blank=True)
    keep_sid = models.CharField(_("except session"), max_length=22, blank=True, default="")
    reason = models.CharField(_("reason"), max_length=32, blank=True, default="")
    # The database's clock: the servers' may differ.
    created_at = models.FloatField(_("created"), db_default=UnixNow())
    expires_at = models.FloatField(_("expires"))

    objects: ClassVar[RevocationManager] = RevocationManager()

    class Meta:
        verbose_name = _("revocation")
        verbose_name_plural = _("revocations")
        indexes: ClassVar[list[models.Index]] = [
            # A token is looked up by name while a process has not read all lines.
            models.Index(fields=["name"]),
            # The lines are counted by it without a look at them.
            models.Index(fields=["expires_at", "kind", "id"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


class MovedSession(models.Model):
    """A cookie that has been let in, or moved out, once: it never is again.

    As long as its browser may hold it, it leads to the session that took its place.
    """

    # SHA-256 of the cookie, base64url: a cookie has more bits of chance than anybody can try.
    digest = models.CharField(max_length=43, primary_key=True)
    # What opens the session that took its place.
    sealed = models.BinaryField(default=b"")
    # When a request came with the new cookie; seconds since 1970, as in Revocation.
    confirmed_at = models.FloatField(null=True, blank=True)
    expires_at = models.FloatField(db_index=True)

    objects: ClassVar[EventManager] = EventManager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.digest


class SessionEvent(DeviceColumns):
    """What happened to sessions: the login history, of all engines.

    A user's lines stay when the user is deleted, until they are as old as HISTORY_AGE.
    """

    Kind = EventKind

    # What a session of the user's begins with.
    BEGINS: ClassVar = (EventKind.LOGIN, EventKind.TAKEOVER)
    # Somebody had a copy of the cookie; `detail` tells of the login's device.
    COPIED: ClassVar = (EventKind.TOKEN_REUSE, EventKind.BINDING_FAILED)

    kind = models.CharField(_("what"), max_length=16, choices=EventKind)
    sid = models.CharField(
        pgettext_lazy("sessions", "session"), max_length=22, blank=True, default=""
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=pgettext_lazy("sessions", "user"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    created_at = models.DateTimeField(_("when"), default=timezone.now)
    # How often it happened, where that is one line: failed logins of an hour.
    count = models.PositiveIntegerField(_("times"), default=1)
    # COPIED: address and user agent of the session's login, beside those of the copy's use.
    # named, login: the name that the user has given the device, see pages/names.py.
    # login: "new_device". login_failed: "known", of a device and address of the user's logins.
    detail = models.JSONField(_("detail"), default=dict, blank=True)

    objects: ClassVar[EventManager] = EventManager()

    class Meta:
        verbose_name = _("session event")
        verbose_name_plural = _("session events")
        indexes: ClassVar[list[models.Index]] = [
            # Read backwards, each ends with the newest key: so are they listed.
            models.Index(fields=["user", "created_at"]),
            models.Index(fields=["created_at"]),
            models.Index(fields=["sid"]),
            models.Index(fields=["kind", "created_at"]),
            models.Index(fields=["browser", "created_at"]),
            models.Index(fields=["os", "created_at"]),
            models.Index(fields=["device", "created_at"]),
            models.Index(fields=["ip_address"]),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
