"""Millions of rows as years of use leave them, made by the database itself.

Row n of Session has the id `session_id(n)`, so whoever wants one of them need not ask for it. Its
data are as long as sealed ones and open nothing: `token_of` seals those of one row.
"""

from __future__ import annotations

import time
from hashlib import md5
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth import get_user_model

# The end of an unused session; those in force have a day left at least.
_WEEK = 7 * 86400
# Of a hundred sessions; the rare ones are what filters find hard.
_DEVICES = (
    (25, "Chrome 149", "Windows", "desktop"),
    (35, "Chrome 148", "Windows", "desktop"),
    (40, "Chrome 147", "Windows", "desktop"),
    (60, "Safari 19", "iOS", "phone"),
    (75, "Chrome 149", "Android", "phone"),
    (90, "Firefox 149", "Ubuntu", "desktop"),
    (99, "Safari 19", "macOS", "desktop"),
    (100, "Edge 149", "Windows", "desktop"),
)
_DATA = {
    "_auth_user_id": "1",
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_auth_user_hash": "0123456789abcdef" * 4,
    "cart": [1071, 88],
}

# What each database calls it; {n} is the number of the row.
_DIALECTS = {
    "postgresql": {
        "series": "generate_series(1, {count}) AS series(n)",
        "hex": "md5('session' || {n})",
        "sid": "rtrim(translate(encode(decode({hex}, 'hex'), 'base64'), '+/', '-_'), '=')",
        "uuid": "({hex})::uuid",
        "ago": "now() - make_interval(secs => {seconds})",
        "ip": "('10.' || {n} % 200 || '.' || {n} / 200 % 250 || '.' || {n} % 97)::inet",
        "data": "convert_to('{data}', 'UTF8')",
        "text": "'user' || {n}",
        "mod": "(hashint8({n} + {salt}) & 2147483647) % {by}",
    },
    "mysql": {
        "series": "(SELECT seq AS n FROM seq_1_to_{count}) AS series",
        "hex": "md5(CONCAT('session', {n}))",
        "sid": "REPLACE(REPLACE(LEFT(TO_BASE64(UNHEX({hex})), 22), '+', '-'), '/', '_')",
        "uuid": "{hex}",
        "ago": "UTC_TIMESTAMP(6) - INTERVAL {seconds} SECOND",
        "ip": "CONCAT('10.', {n} % 200, '.', {n} DIV 200 % 250, '.', {n} % 97)",
        "data": "'{data}'",
        "text": "CONCAT('user', {n})",
        "mod": "CAST(CRC32({n} + {salt}) % {by} AS SIGNED)",
    },
    "sqlite": {
        "series": "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s"
        " WHERE n < {count}) SELECT n FROM s) AS series",
        "hex": "md5('session' || {n})",
        "sid": "bulk_sid({hex})",
        "uuid": "{hex}",
        "ago": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', (-({seconds})) || ' seconds')",
        "ip": "'10.' || ({n} % 200) || '.' || ({n} / 200 % 250) || '.' || ({n} % 97)",
        "data": "CAST('{data}' AS BLOB)",
        "text": "'user' || {n}",
        "mod": "({n} * 2654435761 + {salt} * 40503) % 4294967296 / 7 % {by}",
    },
}


def session_id(number: int) -> UUID:
    """Return the id of row `number` of Session, which is a UUID of version 4."""
    return UUID(_version_4(md5(f"session{number}".encode(), usedforsecurity=False).hexdigest()))


def token_of(pk: UUID) -> str:
    """Return a token for a row, whose data are sealed and stored for it."""
    from django_jwtsession.conf import get_config
    from django_jwtsession.models.place import current_place
    from django_jwtsession.tokens.claims import Claims

    row = _model("Session")._default_manager.get(pk=pk)
    sealed, part = _sealed(row)
    row.data = sealed
    row.save(update_fields=["data"])
    now = time.time()
    claims = Claims(row.sid, int(now), int(now) + 86400, row.epoch, sk=part)
    return get_config().codec_in(current_place()).issue(claims, now)


def _sealed(row: Any) -> tuple[bytes, str]:
    """Return _DATA as the engines seal them for `row`, and the random part of its key."""
    from django_jwtsession.backends import data as session_data
    from django_jwtsession.backends.db import SessionStore
    from django_jwtsession.backends.knowledge import Content, Identity
    from django_jwtsession.conf import get_config
    from django_jwtsession.tokens.session_key import new_key_part

    part, now = new_key_part(), time.time()
    at = row.authenticated_at and row.authenticated_at.timestamp()
    user = None if row.user_id is None else str(row.user_id)
    who = Identity(row.sid, row.epoch, part, at, at, row.epoch if user else 0, user)
    data = {k: v for k, v in _DATA.items() if user or not k.startswith("_auth")}
    data |= {"_auth_user_id": user} if user else {}
    payload = session_data.dumps(data, get_config())
    return SessionStore()._sealed(Content(who, now, payload)), part


def _version_4(text: str) -> str:
    return f"{text[:12]}4{text[13:16]}a{text[17:]}"


def fill(
    connection: Any, count: int, *, expired: float = 0.1, revocations: int | None = None
) -> None:
    """Add `count` sessions and as many events, a fifth as many users, a tenth of it revocations.

    Arguments: `expired` is the part of the sessions, the first ones, that have ended.
    """
    if connection.vendor == "sqlite":
        _sqlite_functions(connection)
    users = max(count // 5, 100)
    _insert(connection, get_user_model(), users, _users(connection))
    first = get_user_model()._base_manager.using(connection.alias).order_by("pk")
    offset = first.values_list("pk", flat=True).get(username="user1") - 1
    fields = (count, users, offset)
    _insert(connection, _model("Session"), count, _sessions(connection, *fields, expired))
    _insert(connection, _model("SessionEvent"), count, _events(connection, *fields))
    fill_revocations(connection, count // 10 if revocations is None else revocations)


def fill_revocations(connection: Any, count: int) -> None:
    """Add `count` ended sessions to the feed, whose tokens could still be valid."""
    if connection.vendor == "sqlite":
        _sqlite_functions(connection)
    _insert(connection, _model("Revocation"), count, _revocations(connection))
    analyze(connection)


def analyze(connection: Any) -> None:
    """Let the database look at its tables, as its own housekeeping would have."""
    statement = {"postgresql": "VACUUM ANALYZE {}", "mysql": "ANALYZE TABLE {}"}
    with connection.cursor() as cursor:
        for model in (get_user_model(), *apps.get_app_config("django_jwtsession").get_models()):
            # A transaction, as a test's, takes no VACUUM.
            text = statement.get(connection.vendor, "ANALYZE {}").format(model._meta.db_table)
            cursor.execute(text.replace("VACUUM ", "") if connection.in_atomic_block else text)
            cursor.fetchall() if cursor.description else None


def _model(name: str) -> Any:
    return apps.get_model("django_jwtsession", name)


def _insert(connection: Any, model: Any, count: int, columns: dict[str, str]) -> None:
    """Insert `count` rows of these expressions, and make the indexes afterwards."""
    series = _DIALECTS[connection.vendor]["series"].format(count=count)
    names = ", ".join(map(connection.ops.quote_name, columns))
    sql = (
        f"INSERT INTO {model._meta.db_table} ({names}) SELECT {', '.join(columns.values())}"
        f" FROM {series}"
    )
    later = model._meta.indexes if count > 500_000 else []
    if later:
        with connection.schema_editor() as editor:
            for index in later:
                editor.remove_index(model, index)
    with connection.cursor() as cursor:
        cursor.execute(sql, [] if connection.vendor == "sqlite" else None)
    if later:
        with connection.schema_editor() as editor:
            for index in later:
                editor.add_index(model, index)


def _say(connection: Any, name: str, **values: Any) -> str:
    return _DIALECTS[connection.vendor][name].format(**({"n": "n"} | values))


def _random(connection: Any, by: int, salt: int = 0) -> str:
    """Return an expression for a number below `by` that depends on the row."""
    return f"({_say(connection, 'mod', by=by, salt=salt)})"


def _ago(connection: Any, seconds: str) -> str:
    return f"({_say(connection, 'ago', seconds=seconds)})"


def _hex(connection: Any, number: str = "n") -> str:
    text = _say(connection, "hex", n=number)
    parts = (f"substr({text}, 1, 12)", "'4'", f"substr({text}, 14, 3)", "'a'")
    parts = (*parts, f"substr({text}, 18)")
    if connection.vendor == "mysql":
        return f"CONCAT({', '.join(parts)})"
    return f"({' || '.join(parts)})"


def _device(connection: Any) -> dict[str, str]:
    chance = _random(connection, 100, 1)
    columns = {}
    for place, name in enumerate(("browser", "os", "device"), 1):
        cases = " ".join(f"WHEN {chance} < {row[0]} THEN '{row[place]}'" for row in _DEVICES)
        columns[name] = f"CASE {cases} END"
    agent = "'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/149.0 Safari'"
    return columns | {"user_agent": agent, "ip_address": _say(connection, "ip")}


def _users(connection: Any) -> dict[str, str]:
    name = _say(connection, "text")
    false, true = ("0", "1") if connection.vendor != "postgresql" else ("false", "true")
    empty = dict.fromkeys(("password", "first_name", "last_name", "email"), "''")
    return {
        "username": name,
        **empty,
        "is_superuser": false,
        "is_staff": f"CASE WHEN n <= 20 THEN {true} ELSE {false} END",
        "is_active": true,
        "date_joined": _ago(connection, "0"),
    }


def _sessions(
    connection: Any, count: int, users: int, offset: int, expired: float
) -> dict[str, str]:
    ended = int(count * expired)
    # The later a row was made, the later it was seen; what has ended was seen a week ago.
    made = f"(30.0 * 86400 * ({count} - n) / {count})"
    seen = f"CASE WHEN n <= {ended} THEN {_WEEK} + ({ended} - n) * 20.0 * 86400 / {count}"
    seen = f"({seen} ELSE {_random(connection, _WEEK - 86400)} END)"
    larger = "MAX" if connection.vendor == "sqlite" else "GREATEST"
    user = f"CASE WHEN n % 20 = 0 THEN NULL ELSE {offset} + 1 + {_random(connection, users)} END"
    created = _ago(connection, f"{larger}({made}, {seen})")
    data = _say(connection, "data", data="x" * len(_sample()))
    return {
        "id": _say(connection, "uuid", hex=_hex(connection)),
        "user_id": user,
        "data": data,
        "version": "1",
        "epoch": str(int((time.time() - 30 * 86400) * 1000)),
        "created_at": created,
        "authenticated_at": f"CASE WHEN n % 20 = 0 THEN NULL ELSE {created} END",
        "last_seen_at": _ago(connection, seen),
        "expires_at": _ago(connection, f"({seen} - {_WEEK})"),
        "generation": "0",
        **_device(connection),
    }


def _sample() -> bytes:
    row = _model("Session")(user_id=1000, authenticated_at=None)
    return _sealed(row)[0]


def _events(connection: Any, count: int, users: int, offset: int) -> dict[str, str]:
    each = max(count // 20, 1)
    kinds = f"CASE WHEN n % {each} = 0 THEN 'token_reuse' WHEN n % 100 = 1 THEN 'new_device'"
    kinds += " WHEN n % 10 < 6 THEN 'login' WHEN n % 10 < 8 THEN 'logout'"
    kinds += " WHEN n % 10 = 8 THEN 'login_failed' ELSE 'revoked' END"
    return {
        "kind": kinds,
        "sid": _say(connection, "sid", hex=_hex(connection, "(n - n % 2)")),
        "user_id": f"{offset} + 1 + {_random(connection, users)}",
        "created_at": _ago(connection, f"(89.0 * 86400 * ({count} - n) / {count})"),
        "count": "1",
        "detail": "'{}'",
        **_device(connection),
    }


def _revocations(connection: Any) -> dict[str, str]:
    now = int(time.time())
    return {
        "kind": "'s'",
        "name": _say(connection, "sid", hex=_hex(connection, "(n + 1000000000)")),
        "keep_sid": "''",
        "reason": "'logout'",
        "created_at": f"({now} - 3600 - {_random(connection, _WEEK)})",
        "expires_at": f"({now} + 3600 + {_random(connection, 90 * 86400)})",
    }


def _sqlite_functions(connection: Any) -> None:
    from django_jwtsession.tokens.sid import sid_from_uuid

    connection.ensure_connection()
    connection.connection.create_function(
        "bulk_sid", 1, lambda text: sid_from_uuid(UUID(text)), deterministic=True
    )
