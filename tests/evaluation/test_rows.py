# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.intervals import Estimate
from deepaudio_diffusers.evaluation.rows import Row, RowStore, in_batches, markdown_table, shown


def records(value: float):
    return lambda: ([{"key": "a", "value": value}, {"key": "b", "value": value + 1}], 2.5)


def test_a_finished_row_is_taken_as_it_is(tmp_path):
    first = RowStore(tmp_path, resume=True).row("sounds-true", records(1.0))
    again = RowStore(tmp_path, resume=True).row("sounds-true", lambda: pytest.fail("it was measured again"))
    assert again == first
    assert again.estimate("value").value == 1.5


def test_without_resume_a_row_is_measured_anew(tmp_path):
    RowStore(tmp_path, resume=True).row("row", records(1.0))
    assert RowStore(tmp_path, resume=False).row("row", records(5.0)).values("value").tolist() == [5, 6]


def test_a_row_that_fails_leaves_nothing_behind(tmp_path):
    def fail():
        raise RuntimeError("broken off")

    with pytest.raises(RuntimeError):
        RowStore(tmp_path, resume=True).row("row", fail)
    assert list(tmp_path.iterdir()) == []


def test_names_that_no_file_can_have_are_refused(tmp_path):
    with pytest.raises(InputError, match="a/b"):
        RowStore(tmp_path, resume=True).row("a/b", records(0.0))


def test_values_of_some_clips_under_several_names():
    row = Row("row", [{"kind": kind, "hits": i, "all": 4} for i, kind in enumerate("xyx")], 0.0)
    assert row.values("hits", "all", where=lambda record: record["kind"] == "x").tolist() == [[0, 4], [2, 4]]
    assert row.estimate("hits", where=lambda record: record["kind"] == "z") is None
    assert row.estimate("hits", "all", statistic=lambda counts: np.divide(*counts.sum(0))).value == pytest.approx(0.25)


def test_tables():
    assert markdown_table(["system", "r"], [["true", "1"]]) == "| system | r |\n| --- | ---: |\n| true | 1 |"
    assert shown(Estimate(0.94912, 0.93, 0.962, 96)) == "0.949 (0.930 to 0.962)"
    assert shown(None) == "-"
    assert list(in_batches([1, 2, 3], 2)) == [[1, 2], [3]]
