"""A new site in which one thing is wrong: one line says what to write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parent.parent
MISTAKEN = "mysite.mistaken"
GOOD = """
INSTALLED_APPS = [a.replace("django.contrib.sessions", "django_jwtsession") for a in INSTALLED_APPS]
STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "django_jwtsession.middleware.SessionMiddleware"
MIDDLEWARE = [m.replace(STOCK, OURS) for m in MIDDLEWARE]
SESSION_ENGINE = "django_jwtsession.backends.hybrid"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "jwtsession:sessions"
"""
URLS = """
from django.urls import include
urlpatterns.append(path("", include("django_jwtsession.urls")))
urlpatterns.append(path("", include("django_jwtsession.urls.login")))
"""


def run(site: Path, *command: str) -> str:
    """Run Python in the site's folder and return all that it printed."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": MISTAKEN},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of `startproject` with the package installed as the README says."""
    folder = tmp_path_factory.mktemp("site")
    start = [sys.executable, "-m", "django", "startproject", "mysite", str(folder)]
    subprocess.run(start, check=True)
    for name, text in (("settings", GOOD), ("urls", URLS)):
        with (folder / "mysite" / f"{name}.py").open("a") as file:
            file.write(text)
    return folder


def check(site: Path, mistake: str, *options: str) -> str:
    """Return what `manage.py check` says of the site with a mistake in its settings."""
    settings = f"from mysite.settings import *\n{mistake}\n"
    (site / "mysite" / "mistaken.py").write_text(settings)
    said = run(site, "manage.py", "check", *options)
    assert "Traceback" not in said, said
    return said


def test_site_after_the_steps_hears_nothing(site: Path) -> None:
    assert check(site, "") == "System check identified no issues (0 silenced).\n"


@pytest.mark.parametrize(
    ("mistake", "write"),
    [
        pytest.param(
            'INSTALLED_APPS.remove("django_jwtsession")',
            'Write "django_jwtsession" into INSTALLED_APPS',
            id="app not installed",
        ),
        pytest.param(
            "del SESSION_ENGINE",
            "Write SESSION_ENGINE = one of 'django_jwtsession.backends.cookie'",
            id="engine forgotten",
        ),
        pytest.param(
            'SESSION_ENGINE = "jwtsession.backends.db"',
            "Did you mean 'django_jwtsession.backends.db'?",
            id="engine of a name that is not ours",
        ),
        pytest.param(
            "JWT_SESSION = {}",
            "JWT_SESSION is no setting. Write JWTSESSION in its place",
            id="name of the setting",
        ),
        pytest.param(
            "MIDDLEWARE.insert(0, STOCK)",
            "Take 'django.contrib.sessions.middleware.SessionMiddleware' out of MIDDLEWARE",
            id="both session middlewares",
        ),
        pytest.param(
            "MIDDLEWARE.remove(OURS); MIDDLEWARE.append(OURS)",
            "Write 'django_jwtsession.middleware.SessionMiddleware' before"
            " 'django.contrib.auth.middleware.AuthenticationMiddleware'",
            id="session middleware last",
        ),
        pytest.param(
            'JWTSESSION = {"KEYS": []}',
            'JWTSESSION["KEYS"] must be a list',
            id="no keys",
        ),
        pytest.param(
            r'JWTSESSION = {"KEYS": ["s" * 43 + "\n"]}',
            'Key 1 of JWTSESSION["KEYS"] begins or ends with white space',
            id="secret with the end of its line",
        ),
        pytest.param(
            'LOGIN_URL = "logon"',
            'Write LOGIN_URL = "login"',
            id="login page that does not exist",
        ),
        pytest.param(
            'SESSION_COOKIE_AGE = "604800"',
            'Write SESSION_COOKIE_AGE = int("604800")',
            id="age from an environment variable",
        ),
        pytest.param(
            'INSTALLED_APPS.append("django.contrib.sessions")',
            "revoke_user_sessions()",
            id="both apps",
        ),
        pytest.param(
            'DEBUG = False; SECRET_KEY = "test"',
            "is under 32 bytes",
            id="short key",
        ),
    ],
)
def test_mistake_is_answered_with_what_to_write(site: Path, mistake: str, write: str) -> None:
    said = check(site, mistake)
    assert write in said
    assert said.count("(django_jwtsession.") <= 1, said
    assert len(said.splitlines()) <= 8, said


def test_short_key_stops_neither_migrate_nor_test_while_developing(site: Path) -> None:
    said = check(site, 'SECRET_KEY = "test"')
    assert "WARNINGS:" in said
    assert "is under 32 bytes" in said
    assert "Applying django_jwtsession.0001_initial... OK" in run(site, "manage.py", "migrate")
    assert "Ran 0 tests" in run(site, "manage.py", "test")


def test_short_key_stops_the_server_of_a_site_without_debug(site: Path) -> None:
    check(site, 'DEBUG = False; SECRET_KEY = "test"')
    said = run(site, "-c", "from mysite.wsgi import application")
    assert "ImproperlyConfigured: Key 1 of SECRET_KEY" in said.splitlines()[-1]


def test_tests_of_a_site_without_debug_run_with_a_short_key(site: Path) -> None:
    check(site, 'DEBUG = False; SECRET_KEY = "test"')
    (site / "mysite" / "tests.py").write_text(
        "from django.test import TestCase\n"
        "class Visit(TestCase):\n"
        "    def test_visit(self):\n"
        "        self.assertEqual(self.client.get('/login/').status_code, 200)\n"
    )
    said = run(site, "manage.py", "test", "mysite")
    assert "Ran 1 test" in said
    assert "OK" in said.splitlines(), said


def test_first_request_without_tables_says_migrate(site: Path) -> None:
    check(
        site,
        'SESSION_ENGINE = "django_jwtsession.backends.cookie"\n'
        'DATABASES["default"]["NAME"] = BASE_DIR / "new.sqlite3"',
    )
    visit = (
        "import django; django.setup()\n"
        "from importlib import import_module; from django.conf import settings\n"
        "store = import_module(settings.SESSION_ENGINE).SessionStore\n"
        "first = store(); first['a'] = 1; first.save()\n"
        "store(first.session_key).get('a')\n"
    )
    said = run(site, "-c", visit)
    assert "Run `manage.py migrate`" in said.splitlines()[-1]
