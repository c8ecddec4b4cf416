"""``manage.py jwtsession``: keys, tokens, sessions and the site's sheet, on the command line."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from ...exceptions import BadToken
from ...models.registry import session_model
from ...revocation import ending as revocation
from ...revocation.reasons import EndReason
from ..audit import audit, report
from ..audit.site import look
from . import _move, _person, _revoke, _status
from ._inspect import Report, inspect
from ._keygen import KEY_TYPES, keygen

# More than any token that is read, less than what someone might pipe in by mistake.
_MAX_INPUT = 64 * 1024
_STDIN = "-"


class Command(BaseCommand):
    help = (
        "Makes keys for sessions, says what is in a token, lists and ends sessions, and judges"
        " the site."
    )
    # Keys are made, and tokens looked at, where the settings are not right yet.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
        make = commands.add_parser("keygen", help="print a new key for JWTSESSION['KEYS']")
        make.add_argument(
            "--type",
            choices=KEY_TYPES,
            default="secret",
            help="secret for A256GCM and HS256, ec (P-256) for ES256, ed25519 for Ed25519",
        )
        look = commands.add_parser("inspect", help="show header, claims and verdict of a token")
        look.add_argument(
            "token",
            nargs="?",
            default=_STDIN,
            metavar="TOKEN",
            help="the cookie's value; - or nothing reads standard input, where no process list"
            " and no shell history can see it",
        )
        look.add_argument("--reveal", action="store_true", help="show the session data as well")
        look.add_argument("--json", action="store_true", help="print one JSON object")

        show = commands.add_parser("list", help="show the sessions of a user that are in the table")
        show.add_argument("--user", required=True, metavar="NAME", help="the name of a login")
        end = commands.add_parser("revoke", help="end sessions, on every process")
        _revoke.add_arguments(end)
        how = commands.add_parser("status", help="say whether ends of sessions reach the processes")
        how.add_argument("--json", action="store_true", help="print one JSON object")
        sheet = commands.add_parser("audit", help="judge the site by OWASP ASVS 5.0: V3.3, V7, V9")
        sheet.add_argument("--format", choices=report.FORMATS, default="text")
        sheet.add_argument(
            "--level", type=int, choices=(1, 2, 3), default=3, help="up to this level of ASVS"
        )
        tell = commands.add_parser("export", help="print what is kept on a user, as JSON")
        what = tell.add_mutually_exclusive_group(required=True)
        what.add_argument("--user", metavar="NAME", help="the name of a login")
        what.add_argument(
            "--to",
            metavar="ENGINE",
            help="move all sessions into that session engine instead, such as"
            " django.contrib.sessions.backends.db; see MIGRATE_TO",
        )
        move = commands.add_parser("migrate", help="move in the sessions of MIGRATE_FROM's rows")
        move.add_argument("--dry-run", action="store_true", help="count what can move, and why not")
        erase = commands.add_parser("erase", help="end a user's sessions and delete their history")
        erase.add_argument("--user", required=True, metavar="NAME", help="the name of a login")
        erase.add_argument("--noinput", action="store_true", help="ask nothing")

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        """Run the subcommand, a method of this name."""
        try:
            getattr(self, subcommand)(**options)
        except DatabaseError as error:
            raise CommandError(f"The database said: {str(error).partition(chr(10))[0]}") from None

    def keygen(self, *, type: str, **options: Any) -> None:  # noqa: A002  # the option's name
        """Print a new key; nothing is stored."""
        self.stdout.write(keygen(type).rstrip("\n"))

    def inspect(self, *, token: str, reveal: bool, json: bool, **options: Any) -> None:
        """Print what a token says; exit with 1 where it is not valid, 2 where there is none."""
        text = token.strip() if token != _STDIN else _from_stdin()
        if not text:
            raise CommandError("No token given: pass it on standard input.", returncode=2)
        report: Report = inspect(text, reveal=reveal)
        self.stdout.write(report.as_json() if json else report.as_text())
        if not report.valid:
            sys.exit(1)

    def list(self, *, user: str, **options: Any) -> None:
        """Print a line for each session of a user, the one used last first."""
        sessions = session_model().objects.in_force().filter(user_id=_user(user).pk)
        for session in sessions.order_by("-last_seen_at", "pk"):
            seen, ends = (_text(at) for at in (session.last_seen_at, session.expires_at))
            where = session.ip_address or "-"
            self.stdout.write(
                f"{session.sid}  {session.device_words}  {where}  last seen {seen}  ends {ends}"
            )

    def revoke(self, *, sid: str | None, **options: Any) -> None:
        """End sessions; print how many rows there were."""
        user, ip, before = options["user"], options["ip"], options["before"]
        by_what_they_are = ip is not None or before is not None
        chosen = [sid is not None, options["all"], user is not None or by_what_they_are]
        if sum(chosen) != 1:
            raise CommandError("Say which sessions: --sid, --all, or --user, --ip and --before.")
        if options["dry_run"] and not by_what_they_are:
            raise CommandError("--dry-run counts by --ip and --before.")
        if by_what_they_are:
            self._revoke_where(user, ip, before, dry_run=options["dry_run"])
            return
        if user is not None:
            count = revocation.revoke_user_sessions(_user(user), reason=EndReason.COMMAND)
        elif sid is not None:
            try:
                count = int(revocation.revoke_session(sid, reason=EndReason.COMMAND))
            except (BadToken, ValueError):
                raise CommandError("That is no session id: 22 letters, digits, - and _.") from None
        else:
            count = revocation.revoke_all_sessions(reason=EndReason.COMMAND)
        self.stdout.write(f"Ended; {count} of them in the table.")

    def _revoke_where(
        self, user: str | None, ip: str | None, before: str | None, *, dry_run: bool
    ) -> None:
        wanted = _revoke.Wanted(
            user_id=None if user is None else _user(user).pk,
            network=None if ip is None else _revoke.network_of(ip),
            before=None if before is None else _revoke.moment_of(before),
        )
        count = _revoke.revoke_where(wanted, dry_run)
        sessions = f"{count} session{'' if count == 1 else 's'}"
        self.stdout.write(f"{sessions} would end." if dry_run else f"Ended {sessions}.")

    def status(self, *, json: bool, **options: Any) -> None:
        """Print how the feed is doing; exit with 1 where something is wrong, for monitoring."""
        found = _status.status()
        self.stdout.write(_status.as_json(found) if json else _status.as_text(found))
        if found.problems:
            sys.exit(1)

    def audit(self, *, format: str, level: int, **options: Any) -> None:  # noqa: A002  # as above
        """Print the site's sheet; exit with 1 where something is not met, for CI."""
        site = look()
        judged = audit(site, level)
        self.stdout.write(report.write(site, judged, format))
        if not report.is_met(judged):
            sys.exit(1)

    def export(self, *, user: str | None, to: str | None, **options: Any) -> None:
        """Print what is kept on a user, or move all sessions into another engine."""
        if to is not None:
            _move.export(self.stdout.write, self.stderr.write, to)
        elif user is not None:
            self.stdout.write(_person.export(_user(user)))

    def migrate(self, *, dry_run: bool, **options: Any) -> None:
        """Move in what MIGRATE_FROM's engines have in tables; print what moved and what did not."""
        _move.migrate(self.stdout.write, dry_run)

    def erase(self, *, user: str, noinput: bool, **options: Any) -> None:
        """End a user's sessions and delete what is kept on them, once the name was typed again."""
        found = _user(user)
        if not noinput and _typed(f"To erase what is kept on {user}, type the name: ") != user:
            raise CommandError("That is another name: nothing was erased.")
        self.stdout.write(f"Erased {_person.erase(found)} rows.")


def _user(name: str) -> Any:
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise CommandError(f"There is no user {name!r}.") from None


def _typed(question: str) -> str:
    try:
        return input(question)
    except EOFError:  # nobody is there
        raise CommandError("Nobody has answered: nothing was erased.") from None


def _text(at: datetime) -> str:
    return at.isoformat(" ", "minutes")


def _from_stdin() -> str:
    try:
        return sys.stdin.read(_MAX_INPUT).strip()
    except UnicodeDecodeError:
        raise CommandError("What came on standard input is no text.", returncode=2) from None
