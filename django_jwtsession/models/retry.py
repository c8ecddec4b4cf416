"""Statements that the database asks to be tried again: deadlocks, lost races to serialise.

Only those that stand alone: inside somebody's transaction the whole of it is lost, and only its
owner knows what to do again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import Error, connections, transaction

T = TypeVar("T")

# MySQL's numbers: lock wait timeout, deadlock (also Galera's certification, at COMMIT).
_MYSQL = frozenset({1205, 1213})
# SQLSTATE: serialization failure, deadlock.
_STATES = frozenset({"40001", "40P01"})

# Seconds. Rests do not grow, and are counted by time: who has lost often would try seldom, and lose
# to newcomers. 1,000 writes to a session by 20 threads on three nodes of Galera: with 14 rests that
# doubled to 0.64 s, 1 to 3 were given up after 4 s; with these none, and the longest took 3 s.
_REST = 0.008, 0.04
# After that it is not tried again; a lock wait timeout alone may take 50.
_PATIENCE = 10.0

_WHOSE = (
    "The database asks for this transaction to be tried again: it met another one, and nothing of"
    " it was done. Its owner has to run it again, from its beginning (ATOMIC_REQUESTS, or the"
    " atomic() around this call)."
)
# Of these, one leaves what the transaction has done before; by the others all of it is undone.
_LOCK_WAIT_TIMEOUT = 1205
_IN_VAIN = "The database has asked for this to be tried again, and it was, until patience ended."


def is_conflict(error: BaseException) -> bool:
    """Tell whether a database says of a statement: nothing was done, try again."""
    cause = error.__cause__ or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    number = cause.args[0] if cause.args else None
    return state in _STATES or (isinstance(number, int) and number in _MYSQL)


def is_undone(error: Error, using: str) -> bool:
    """Tell whether the database has undone this thread's transaction; the error then says whose.

    Its owner must hear of it: who goes on writes into a new one, and half of the work is kept. On
    Galera that may be the answer to any statement, also to one that only reads.
    """
    cause = error.__cause__ or error
    if not is_conflict(error) or _LOCK_WAIT_TIMEOUT in cause.args[:1]:
        return False
    if not connections[using].in_atomic_block and not in_transaction(using):
        return False
    error.__notes__ = [_WHOSE]
    return True


def in_transaction(using: str) -> bool:
    """Tell whether this thread is in somebody's transaction.

    Not inside that of a TestCase, which is never committed: there everything counts at once.
    """
    connection: Any = connections[using]
    if not connection.in_atomic_block:
        # Asked only of an open connection: get_autocommit() would open one.
        return connection.connection is not None and not connection.autocommit
    return not any(block._from_testcase for block in connection.atomic_blocks)


class Written:
    """What this thread has just written in a transaction: whether that was rolled back since."""

    def __init__(self, using: str) -> None:
        self._using, self._is_kept = using, False
        transaction.on_commit(self._keep, using=using)

    def _keep(self) -> None:
        self._is_kept = True

    def is_undone(self) -> bool:
        # A rollback, also to a savepoint, forgets what was to be called.
        waiting = connections[self._using].run_on_commit
        return not self._is_kept and all(call != self._keep for _, call, *_ in waiting)


def written_in_transaction(using: str) -> Written | None:
    """Return what to ask of what was just written; None where it counts at once.

    So it does in a TestCase, whose callbacks on commit are the test's to count.
    """
    is_open = connections[using].in_atomic_block and in_transaction(using)
    return Written(using) if is_open else None


def run_again(using: str, statement: Callable[[], T]) -> T:
    """Run what stands alone, again while the database asks for that.

    Arguments: `using` is the database's alias; `statement` changes nothing but there, and does no
    harm a second time.

    Raises what the last try raised. Inside a transaction that is the first, with a note that the
    transaction's owner has to try again.
    """
    began = time.monotonic()
    while True:
        try:
            return statement()
        except Error as error:
            if not is_conflict(error):
                raise
            if connections[using].in_atomic_block or in_transaction(using):  # a TestCase's, too
                error.__notes__ = [_WHOSE]
                raise
            if time.monotonic() - began > _PATIENCE:
                error.__notes__ = [_IN_VAIN]  # the transaction inside was ours
                raise
        time.sleep(random.uniform(*_REST))  # noqa: S311  # no secret
