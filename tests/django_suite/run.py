"""Run Django's session tests against one engine and one middleware; print the outcome as JSON.

`python -m tests.django_suite.run <engine> <middleware>`, in a process of its own: the tests patch
their module, and their models need other INSTALLED_APPS than ours. `PYTHONPATH` names their folder.
"""

from __future__ import annotations

import io
import json
import os
import sys
import unittest
from importlib import import_module
from typing import Any


class Outcome(unittest.TextTestResult):
    """Notes the outcome of each test under its bare name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.passed: list[str] = []

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addSuccess(test)
        self.passed.append(test.id())


def session_classes(tests: Any, store: Any, engine: str) -> list[type[unittest.TestCase]]:
    """Return Django's test classes for an engine: the group with rows, or the one without."""
    if not hasattr(store, "get_model_class"):
        return [stateless_class(tests, store)]
    classes = [tests.DatabaseSessionTests, tests.DatabaseSessionWithTimeZoneTests]
    for cls in classes:
        cls.backend, cls.session_engine = store, engine
    if engine != "django_jwtsession.backends.db":
        return classes
    custom = tests.CustomDatabaseSessionTests
    custom.backend, custom.session_engine = (
        import_module("tests.models").SessionStore,
        "tests.models",
    )
    return [*classes, custom]


def stateless_class(tests: Any, store: Any) -> type[unittest.TestCase]:
    """Return CookieSessionTests with what it leaves out of the mixin for signed_cookies put back.

    So the list of what cannot hold is ours, and each entry of it has to fail.
    """
    mixin = vars(tests.SessionTestsMixin)
    whole = {name: test for name, test in mixin.items() if name.startswith("test_")}
    return type("StatelessSessionTests", (tests.CookieSessionTests,), {"backend": store, **whole})


def main(engine: str, middleware: str) -> dict[str, Any]:
    """Return the names of passed, failed (with their tracebacks) and skipped tests."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.django_suite.suite_settings"
    os.environ["SUITE_ENGINE"] = engine
    import django

    django.setup()
    from django.test.runner import DiscoverRunner
    from django.utils.module_loading import import_string

    tests = import_module("sessions_tests.tests")
    tests.SessionMiddleware = import_string(middleware)
    store = import_module(engine).SessionStore
    if hasattr(store, "get_model_class"):  # what SessionMiddlewareTests work on
        tests.DatabaseSession, tests.Session = store, store.get_model_class()
    classes = session_classes(tests, store, engine)
    classes += [tests.SessionMiddlewareTests, tests.ClearSessionsCommandTests]

    runner = DiscoverRunner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    databases = runner.setup_databases()
    suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, classes))
    text = unittest.TextTestRunner(stream=io.StringIO(), resultclass=Outcome, warnings="error")
    outcome: Any = text.run(suite)
    runner.teardown_databases(databases)
    return {
        "passed": outcome.passed + [test.id() for test in outcome.unexpectedSuccesses],
        "failed": {test.id(): why for test, why in outcome.failures + outcome.errors},
        "skipped": {test.id(): why for test, why in outcome.skipped},
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
