"""The shape of the package: it may get better and never worse.

Whoever makes a number smaller writes it here; the goals stand beside it.
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import shape
from django_jwtsession.conf import problems

# What is there now, and the goal.
LONGEST_FILE = 350
LONGEST_CLASS = 250
MIDDLE_FUNCTION = 6
LONG_FUNCTION = 20
INNER_IMPORTS = 8  # the six of apps.py, and the two arrows that go up
IN_CYCLES = 0
FILES_ENTERED = {"read": 8, "login": 51}  # 8, 22


@pytest.fixture(scope="module")
def found() -> shape.Shape:
    return shape.read_shape()


def test_no_file_or_class_is_longer_than_the_longest(found: shape.Shape) -> None:
    assert found.files[0].lines <= LONGEST_FILE, found.files[0]
    assert found.classes[0].lines <= LONGEST_CLASS, found.classes[0]


def test_functions_stay_short(found: shape.Shape) -> None:
    assert found.middle_function <= MIDDLE_FUNCTION
    assert found.long_function <= LONG_FUNCTION


def test_no_new_import_hides_in_a_function(found: shape.Shape) -> None:
    assert len(found.inner_imports) <= INNER_IMPORTS, "\n".join(found.inner_imports)


def test_no_module_joins_a_cycle(found: shape.Shape) -> None:
    assert sum(map(len, found.cycles)) <= IN_CYCLES, found.cycles


@pytest.mark.django_db
def test_request_enters_no_more_files(settings: Any) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.hybrid"
    for name, walk in shape.walks().items():
        assert len(walk.files) <= FILES_ENTERED[name], (name, walk.files)


def test_cycle_is_found_by_whatever_way_round() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"e"}}
    assert shape.find_cycles(graph) == [["a", "b", "c"], ["e"]]


def test_only_files_of_the_package_are_counted_and_each_once() -> None:
    found = shape.walk(lambda: [problems({}), problems({})])
    assert found.files == ["conf/rules.py"]
