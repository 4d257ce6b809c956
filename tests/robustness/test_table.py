# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The table of `docs/robustness.md` is complete, and the tests that it names exist."""

import re
from pathlib import Path


TESTS = Path(__file__).parents[1]
ROWS = re.findall(
    r"^\| (\d+) \|(.*)\|(.*)\|(.*)\|$",
    (TESTS.parent / "docs" / "robustness.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_all_inputs_are_there_once_and_in_order():
    assert [int(number) for number, *_ in ROWS] == list(range(1, 83))


def test_every_input_has_a_test_or_is_said_not_to_be_built():
    for number, _, result, tests in ROWS:
        assert "`" in tests or "not built" in result, number


def test_the_tests_exist():
    for number, _, _, tests in ROWS:
        for name in re.findall(r"`([^`]+)`", tests):
            file, _, function = name.partition("::")
            path = TESTS.parent / file if "/" in file else TESTS / "robustness" / file
            assert f"def {function}" in path.read_text(encoding="utf-8"), (number, name)


def test_the_numbered_tests_are_in_the_table():
    table = " ".join(tests for *_, tests in ROWS)
    for path in (TESTS / "robustness").glob("test_bad_*.py"):
        for name in re.findall(r"def (test_\d\d_\w+)", path.read_text(encoding="utf-8")):
            assert f"{path.name}::{name}`" in table, name
