"""What a request leaves for later: what follows from its view, and what its answer does not await.

The middleware says which request is being answered; all threads and tasks that work for it share
its list. Where there is none, on commands, in tasks, in a consumer, everything is done at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone, translation

logger = logging.getLogger("django_jwtsession")


# The request that is being answered here. Its attributes say the rest: `_later` is what it leaves,
# from the first thing on, `_is_answered` that nothing comes into that list any more.
answering: ContextVar[Any] = ContextVar("django_jwtsession.answering", default=None)


class Later:
    """What is left to do for one request.

    `after_view` is called with the request when its view has answered, before the session is saved;
    `after_answer` when the answer is out. `logged_in` has the pks of those who logged in.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.after_view: list[Callable[[HttpRequest], None]] = []
        self.after_answer: list[Callable[[], None]] = []
        self.logged_in: set[Any] = set()

    def settle(self) -> None:
        """Do what follows from the view."""
        while self.after_view:
            attempt(partial(self.after_view.pop(0), self.request))

    def wait(self) -> None:
        """Do the rest when the answer is closed: Django closes the request with it."""
        if self.after_view or self.after_answer:
            self.request.close = self._close  # type: ignore[method-assign]

    def finish(self) -> None:
        """Do all that is left: at the end of the answer, or where there is none.

        After the view's end its session may still be saved, and whoever is told of that leave more.
        """
        self.settle()
        while self.after_answer:
            attempt(self.after_answer.pop(0))

    def _close(self) -> None:
        del self.request.close  # the method of the class again
        self.request.close()
        self.finish()


def current() -> Later | None:
    """Return the list of the request whose view runs now, None outside of requests."""
    request = answering.get()
    if request is None or request._is_answered:
        return None
    # setdefault() is atomic: threads and tasks of one request get the same one.
    later: Later = request.__dict__.setdefault("_later", Later(request))
    return later


def after_answer(function: Callable[[], None]) -> None:
    """Call a function once the answer is out, in the language and time zone of now.

    Outside of requests: now. What it raises is logged.
    """
    later = current()
    if later is None:
        attempt(function)
    else:
        later.after_answer.append(as_of_now(function))


def as_of_now(function: Callable[[], None]) -> Callable[[], None]:
    """Return a function that runs in the language and time zone of now."""
    zone = timezone.get_current_timezone()
    return partial(_as_then, function, translation.get_language(), zone)


def _as_then(function: Callable[[], None], language: str | None, zone: Any) -> None:
    with translation.override(language), timezone.override(zone):
        function()


def after_commit(function: Callable[[], None], using: str) -> None:
    """Call the function now, or once the transaction that is open has been committed."""
    if in_transaction(using):
        transaction.on_commit(function, using=using, robust=True)
    else:
        function()


def in_transaction(using: str) -> bool:
    """Tell whether a transaction is open that is not the one around a project's test case."""
    blocks = transaction.get_connection(using).atomic_blocks
    return any(not getattr(block, "_from_testcase", False) for block in blocks)


def in_test_case(using: str) -> bool:
    """Tell whether a project's test case holds a transaction open, to be rolled back."""
    blocks = transaction.get_connection(using).atomic_blocks
    return any(getattr(block, "_from_testcase", False) for block in blocks)


def attempt(function: Callable[[], None]) -> None:
    try:
        function()
    except Exception:  # the answer is made; nothing here may take it back
        logger.warning("What was left for after the answer could not be done.", exc_info=True)
