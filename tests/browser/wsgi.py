"""For gunicorn: the example with its static files, and a clock that tests move.

/clock?600 moves it on by 600 seconds. It ticks, or stands still where BROWSER_CLOCK says at when.
/delay?/login=0.5 lets each request of /login wait from now on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import time_machine
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

_site = StaticFilesHandler(get_wsgi_application())
_frozen = os.environ["BROWSER_CLOCK"]
_clock = time_machine.travel(float(_frozen or time.time()), tick=not _frozen).start()


_delays: dict[str, float] = {}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/clock":
        _clock.shift(float(query))
    elif path == "/delay":
        name, _, seconds = query.partition("=")
        _delays[name] = float(seconds)
    else:
        time.sleep(_delays.get(path, 0.0))
        return _site(environ, start_response)
    start_response("204 No Content", [])
    return []
