"""YAML as plans have it, and the line of every value. What is no YAML: test_plan.py."""

from __future__ import annotations

import pytest

from wrs_mm.bench.plan.yaml_lines import PlanFile

TEXT = """# A comment
name: a
list:
  - 1
  - {b: 2,
     c: 3}
shared: &shared
  d: 4
  e: 5
merged:
  <<: *shared
  e: 6
"""


@pytest.fixture
def file(tmp_path):
    """Makes a plan's file of a text."""

    def _file(text: str = TEXT) -> PlanFile:
        path = tmp_path / "plan.yaml"
        path.write_text(text, encoding="utf-8")
        return PlanFile(path)

    return _file


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("name",), 2),
        (("list",), 3),
        (("list", 0), 4),
        (("list", 1, "c"), 6),
        (("shared", "e"), 9),
        (("merged", "d"), 8),
        (("merged", "e"), 12),
        (("list", 1, "x", 3), 5),
        (("nowhere",), None),
        ((), None),
    ],
)
def test_a_value_has_its_line_or_that_of_what_is_around_it(location, line, file):
    assert file().line(location) == line
    where = f"plan.yaml, line {line}: wrong" if line else "plan.yaml: wrong"
    assert str(file().error("wrong", location)).endswith(where)


def test_numbers_are_those_of_yaml_1_2_and_dates_are_text(file):
    content = file("[1e-4, 1.0e-4, -2E3, .5e1, 2026-11-25, 1e, yes]").content
    assert content == [1e-4, 1e-4, -2000.0, 5.0, "2026-11-25", "1e", True]


def test_merge_keys_and_anchors_are_followed(file):
    assert file().content["merged"] == {"d": 4, "e": 6}
