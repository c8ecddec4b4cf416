"""Chromium, profiles in it, and the sites that they visit."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .device import Device, flags
from .server import Site, new_database, serve
from .tls import make_certificate

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

    from .scene import Scene

# `make test-browser` sets it: a plain run needs neither Chromium nor Playwright.
if not os.environ.get("BROWSER_TESTS"):
    collect_ignore_glob = ["test_*.py"]

_CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
_FLAGS = (
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE = 15_000  # milliseconds: CI's machines are busy

NewProfile = Callable[..., "Page"]
NewDevice = Callable[..., Device]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(
        executable_path=_CHROMIUM,
        args=list(_FLAGS),
        # A user's browser has this cache, and logouts have to reckon with it.
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, and a certificate that it has signed itself."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "certificate.pem")


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    """Return the site for arguments of server.serve(), started at its first use."""
    folder = tmp_path_factory.mktemp("browser")
    empty = folder / "empty.sqlite3"
    new_database(empty)
    sites: dict[tuple[Any, ...], Site] = {}
    with contextlib.ExitStack() as servers:

        def serving(*arguments: Any, **options: Any) -> Site:
            key = (*arguments, *options.items())
            if key not in sites:
                database = Path(shutil.copy(empty, folder / f"{len(sites)}.sqlite3"))
                sites[key] = servers.enter_context(serve(database, *arguments, **options))
            return sites[key]

        yield serving


@pytest.fixture
def engine() -> str:
    """The engine of `site`; tests that are for all of them parametrize it."""
    return "hybrid"


@pytest.fixture
def site(serving: Callable[..., Site], engine: str) -> Site:
    """The example as `make demo` serves it."""
    return serving(engine)


@pytest.fixture
def profile(chromium: Browser, site: Site) -> Iterator[NewProfile]:
    """Open a browser profile on the site, with cookies of its own; return its first page."""
    with profiles(chromium, site) as profile:
        yield profile


@pytest.fixture(scope="session")
def binding_chromium(playwright: Playwright, certificate: Path) -> Iterator[Browser]:
    """Chromium that binds sessions."""
    args = [*_FLAGS, *flags(certificate)]
    browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=args)
    yield browser
    browser.close()


@pytest.fixture
def device(
    request: pytest.FixtureRequest,
    playwright: Playwright,
    site: Site,
    certificate: Path,
    tmp_path: Path,
) -> Iterator[NewDevice]:
    """Start a browser that binds sessions: with a new profile, or that of a name on the disk."""
    options: Any = {"base_url": site.named}
    on_disk: Any = {"executable_path": _CHROMIUM, "args": [*_FLAGS, *flags(certificate)]}
    with contextlib.ExitStack() as opened:

        def device(name: str = "") -> Device:
            if name:
                launch = playwright.chromium.launch_persistent_context
                context = launch(tmp_path / name, **on_disk, **options)
            else:
                context = request.getfixturevalue("binding_chromium").new_context(**options)
            opened.callback(context.close)
            context.set_default_timeout(_PATIENCE)
            return Device(context, site)

        yield device


@contextlib.contextmanager
def profiles(chromium: Browser, site: Site) -> Iterator[NewProfile]:
    """See profile(); all are closed at the end."""
    with contextlib.ExitStack() as opened:

        def profile(address: str = "192.0.2.1", **options: Any) -> Page:
            options.setdefault("timezone_id", "UTC")  # not the machine's: pictures are compared
            context = chromium.new_context(
                base_url=site.url,
                extra_http_headers={"X-Forwarded-For": address},
                ignore_https_errors=True,
                **options,
            )
            opened.callback(context.close)
            context.set_default_timeout(_PATIENCE)
            return context.new_page()

        yield profile


@pytest.fixture(scope="session")
def scene(chromium: Browser, serving: Callable[..., Site]) -> Iterator[Scene]:
    """Every page, with the same things on it each time."""
    from .scene import NOW, Scene

    site = serving("hybrid", frozen_at=NOW)
    with profiles(chromium, site) as profile:
        yield Scene(site, profile)
