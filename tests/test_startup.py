"""What this package adds to the start of a site, beside Django's own engine `db`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
# A busy machine is as slow for Django's start as for ours. It takes 14.5 to 14.7 MB, on newer
# Pythons 16.1: cryptography's library alone takes 8.4 there, 6.9 on 3.11.
MOST_MEGABYTES = 15 if sys.version_info < (3, 12) else 17
MOST_SECONDS = 0.3
MOST_OF_DJANGO_S = 1.5

# Sets a site up, builds its middleware, and says what that took: processor seconds, and megabytes.
SITE = """
import sys, time
sys.modules["ua_parser_rs"] = sys.modules["yaml"] = None  # no dependencies of ours: of these tests'
began = time.process_time()
import django
from django.conf import settings
engine, app, middleware = sys.argv[1:]
settings.configure(
    SECRET_KEY="a secret of this test, of more than 32 bytes", ROOT_URLCONF="__main__",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", app],
    MIDDLEWARE=[middleware, "django.contrib.auth.middleware.AuthenticationMiddleware"],
    SESSION_ENGINE=engine,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
urlpatterns = []
from django.core.wsgi import get_wsgi_application
get_wsgi_application()
seconds = time.process_time() - began
status = open("/proc/self/status").read().split()
print(seconds, int(status[status.index("VmRSS:") + 1]) / 1024)
"""
DJANGO = (
    "django.contrib.sessions.backends.db",
    "django.contrib.sessions",
    "django.contrib.sessions.middleware.SessionMiddleware",
)
OURS = (
    "django_jwtsession.backends.hybrid",
    "django_jwtsession",
    "django_jwtsession.middleware.SessionMiddleware",
)


class Start(NamedTuple):
    seconds: float
    megabytes: float


def start(*site: str) -> Start:
    """Start a site three times; return the least, which is what it takes."""
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", SITE, *site],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, megabytes = done.stdout.split()
        runs.append(Start(float(seconds), float(megabytes)))
    return Start(min(run.seconds for run in runs), min(run.megabytes for run in runs))


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_start_takes_little_more_than_with_djangos_own_engine() -> None:
    django, ours = start(*DJANGO), start(*OURS)
    assert ours.megabytes - django.megabytes <= MOST_MEGABYTES
    most = max(MOST_SECONDS, MOST_OF_DJANGO_S * django.seconds)
    assert ours.seconds - django.seconds <= most


AGENT = """
def taken():
    status = open("/proc/self/status").read().split()
    return int(status[status.index("VmRSS:") + 1]) / 1024
from django_jwtsession.devices import agents
before = taken()
agents.parse("Mozilla/5.0 (X11; Ubuntu; rv:149.0) Firefox/149.0")
agents.parse("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
print(taken() - before)
"""


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_first_user_agents_take_the_plain_resolvers_six_megabytes() -> None:
    """Whichever resolver is installed beside it: that of `ua-parser-rs` takes 32."""
    run = [sys.executable, "-c", AGENT]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 6
