"""A session with a row: how the row is sealed, and how a new one is made."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.contrib.sessions.backends.base import CreateError
from django.db import IntegrityError
from django.utils.functional import cached_property

from ..devices import clients
from ..exceptions import BadToken
from ..models.times import to_datetime
from ..policy import Policy
from ..revocation import ending as revocation
from ..tokens import session_key as keys
from ..tokens.seal import RowSeal
from ..tokens.sid import new_sid, uuid_from_sid
from . import columns, rows
from . import data as session_data
from .base import TokenSession
from .flows import Flow
from .knowledge import Content, Data, Ended, Identity, Incoming, Read
from .login_policy import Admitted
from .opening import new_epoch
from .refusals import refusals

_NOBODY = Admitted("", Policy(), is_again=False)


class RowCreating(TokenSession):
    """The part of the engines with rows that makes one."""

    @classmethod
    def get_model_class(cls) -> Any:
        raise NotImplementedError

    @cached_property
    def model(self) -> Any:
        """The model of the engine's rows."""
        return self.get_model_class()

    @staticmethod
    def _pk_of(sid: str) -> UUID:
        return uuid_from_sid(sid)

    @property
    def _pk(self) -> UUID:
        return self._pk_of(self._identity().sid)

    @cached_property
    def _seal_of_rows(self) -> RowSeal:
        return self.config.seal_in(self._feed.place)

    @staticmethod
    def _associated(sid: str, epoch: int) -> bytes:
        """Return what binds a row's content to its row; the place is part of the key."""
        return f"{sid}.{epoch}".encode()

    def _sealed(self, content: Content) -> bytes:
        who = content.identity
        return self._seal_of_rows.seal(content.pack(), self._associated(who.sid, who.epoch))

    def _read(self, sid: str, lock: bool = False) -> Read | None:
        raise NotImplementedError

    def _unseal(self, sid: str, epoch: int, sealed: bytes) -> Content | None:
        try:
            packed, is_newest = self._seal_of_rows.open(sealed, self._associated(sid, epoch))
        except BadToken as error:
            refusals.log(error.reason)
            return None
        return Content.unpack(sid, epoch, packed, is_newest)

    def _data_in(self, content: Content) -> Data:
        """Return the data in a row; none where the serializer cannot read it."""
        try:
            return session_data.loads(content.payload, self.config)
        except Exception:  # a serializer may raise anything; Django's engines begin anew as well
            return Data()

    def _seen(self, read: Read) -> Data:
        """Return what this request may see of a row: of a later epoch nothing that is new in it.

        It may be meant for whoever gave the proof, as another app's note of that.
        """
        data, new = self._data_in(read.content), read.content.new_keys
        if new and read.row.epoch != self._identity().epoch:
            return Data({key: value for key, value in data.items() if str(key) not in new})
        return data

    # --- a new row --------------------------------------------------------------------------------

    def _creating(self) -> Flow[None]:
        data = self._get_session(no_load=True)
        yield
        passed, is_over = self.sets_no_cookie, self.began_epoch or self.ended is Ended.HERE
        self._create(data)
        self.began_epoch = is_over  # else what the browser has is good, should the view fail now
        if passed:  # the browser has another one's, which stays
            self.ended = Ended.JUST_PASSED

    def _create(self, data: dict[str, Any]) -> None:
        while True:
            self.identity = Identity(new_sid(), new_epoch(0, time.time()), keys.new_key_part())
            try:
                self._insert(data)
            except CreateError:  # a sid that is taken
                continue
            self.ended = Ended.NOT
            self.modified = self.began_epoch = True
            return

    def _new_instance(self, data: dict[str, Any], now: float) -> Any:
        """Return the row that this session begins with, unsaved."""
        self._settle_auth(data, now)
        if self._identity().part is None:
            self.identity = self._identity().but(part=keys.new_key_part())
        self._expires_at = self._idle_end(now)
        return self.create_model_instance(data)

    def _insert(self, data: dict[str, Any], cookie_until: float | None = None) -> None:
        now = time.time()
        instance = self._new_instance(data, now)
        instance.cookie_until = None if cookie_until is None else to_datetime(cookie_until)
        self._put_in(instance, data, now)

    def _put_in(self, instance: Any, data: dict[str, Any], now: float) -> None:
        try:
            rows.insert(instance)
        except IntegrityError:
            if rows.exists(self.model, self._pk):
                raise CreateError from None
            raise  # a rule of the project's own columns
        content = self._content_of(data, now)
        self.known = Read(rows.row_of(instance), content, now)
        self._issue(now)
        self._wrote()

    def row_of_old(self, old: Incoming) -> Any:
        """Return the row of a session that comes from another engine, unsaved.

        The session has its key then. Raises whatever the serializer raises.
        """
        instance = self._new_instance(self._be_old(old), time.time())
        if old.created_at is not None:
            instance.created_at = to_datetime(old.created_at)
        if old.seen_at is not None:
            instance.last_seen_at = to_datetime(old.seen_at)
        return instance

    def move_in(self, old: Incoming) -> None:
        instance = self.row_of_old(old)
        self._put_in(instance, self._get_session(), time.time())

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """Return a new instance of the model for this session with `data`.

        As in Django's `db` engine, override it to fill columns of your own; they are written with
        each save.
        """
        who, moment = self._identity(), time.time()
        now = to_datetime(moment)
        return self.model(
            id=self._pk,
            data=self._sealed(self._content_of(data, moment)),
            epoch=who.epoch,
            created_at=now,
            last_seen_at=now,
            expires_at=to_datetime(self._expires_at),
            **self._auth_columns(),
            **self._device_columns(),
        )

    def _content_of(
        self,
        data: dict[str, Any],
        now: float,
        reads_on: int = 0,
        new_keys: frozenset[str] = frozenset(),
    ) -> Content:
        payload = session_data.dumps(data, self.config)
        return Content(self._identity(), now, payload, reads_on, new_keys)

    def _auth_columns(self) -> dict[str, Any]:
        """Return the columns that say in lists who is logged in, and since when."""
        who = self._identity()
        at = who.auth_time
        return {
            "user_id": columns.user_id(self.model, who.user),
            "authenticated_at": None if at is None else to_datetime(at),
        }

    def _device_columns(self) -> dict[str, Any]:
        return {} if self.environ is None else clients.columns(self.environ, self.config)

    def _own_columns(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the columns that a project's own model adds to AbstractSession."""
        names = self.model.own_columns()
        if not names:
            return {}
        instance = self.create_model_instance(data)
        return {name: getattr(instance, name) for name in names}

    # --- what follows from a write ----------------------------------------------------------------

    def _wrote(self) -> None:
        """A row was written: what follows from a login is due now, when others can see it."""
        if self._is_login:
            self._is_login = False
            self._enforce_limit()

    def _is_full(self, user: str, policy: Policy) -> bool:
        own = {one.sid for one in (self.identity, self._earlier) if one is not None}
        user_id = columns.user_id(self.model, user)
        return revocation.is_full(self.model, user_id, policy.limit, own)

    def _enforce_limit(self) -> None:
        """End what is over the limit: of parallel logins that were all admitted, the newest."""
        _, policy, is_again = self._admitted or _NOBODY
        refuses = policy.on_limit == "refuse"
        if not (refuses and is_again):
            user_id, data = columns.user_id(self.model, self._identity().user), self._get_session()
            revocation.enforce_limit(self.model, user_id, data, policy.limit, refuses)
