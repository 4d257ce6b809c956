# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures that papers report, to stand beside measured ones where both were measured in the same way."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ..errors import InputError


@dataclass(frozen=True)
class Comparison:
    """
    What of a published table may stand beside a report.

    Args:
        title (`str`): Of the table.
        source (`str`): Where it is from.
        figures (`list[str]`): Names of the figures that were measured in the same way.
        rows (`list[dict]`): `system`, and a value for each figure that was published for it.
        reasons (`dict[str, str]`): Why others may not, by title of the column.
    """

    title: str
    source: str
    figures: list[str]
    rows: list[dict[str, Any]]
    reasons: dict[str, str]


@cache
def published_tables() -> dict[str, dict[str, Any]]:
    """The tables by the names of their benchmarks: what clips they are of, who scored, and what came out.

    Rates and similarities are shares, not percent. A column whose `networks` is `None` depends on no network; what
    `protocol` says besides must be in that of the report.
    """
    text = files("deepaudio_diffusers.evaluation").joinpath("published.json").read_text(encoding="utf-8")
    return json.loads(text)


def check_benchmark(name: str) -> None:
    """Make sure that a benchmark has a table.

    Raises:
        InputError: When nothing is published for it.
    """
    if name not in published_tables():
        raise InputError(f"`benchmark` is {name!r}; published are {', '.join(published_tables())}.")


def compare_with_published(report: dict[str, Any]) -> Comparison:
    """What of the table of its benchmark may stand beside a report.

    Args:
        report (`dict`): From [`make_report`], with a `benchmark`.

    Raises:
        InputError: When nothing is published for the benchmark.
    """
    check_benchmark(report["benchmark"])
    table = published_tables()[report["benchmark"]]
    figures, reasons, columns = [], {}, []
    num_clips = {system["num_clips"] for system in report["systems"].values()}
    for index, column in enumerate(table["columns"]):
        reason = _difference(report, table, column, num_clips)
        if reason is None:
            figures.append(column["figure"])
            columns.append(index)
        else:
            reasons[column["title"]] = reason
    rows = [
        {"system": row["system"]} | dict(zip(figures, (row["values"][index] for index in columns), strict=True))
        for row in table["rows"]
        if any(row["values"][index] is not None for index in columns)
    ]
    return Comparison(table["title"], table["source"], figures, rows, reasons)


def _difference(
    report: dict[str, Any], table: dict[str, Any], column: dict[str, Any], num_clips: set[int]
) -> str | None:
    """Why a measured figure is another than the published one."""
    figure = report["figures"].get(column["figure"])
    if figure is None:
        return "not measured"
    if table["num_clips"] is not None and num_clips != {table["num_clips"]}:
        return f"of {table['num_clips']} clips, here of {', '.join(map(str, sorted(num_clips)))}"
    protocol = report["protocol"][figure["scorer"]]
    if column["networks"] is not None:
        measured = protocol.get("network", "no network")
        if measured not in column["networks"]:
            return f"by {' or '.join(column['networks'])}, here by {measured}"
    for name, value in column.get("protocol", {}).items():
        if protocol.get(name) != value:
            return f"{name}: {value}, here {protocol.get(name, 'another')}"
    return None
