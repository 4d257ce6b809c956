# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A report on scores: figures with their intervals, beside them what they depend on and which results failed."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .files import write_whole
from .intervals import Estimate
from .published import Comparison, compare_with_published
from .rows import markdown_table, shown
from .runner import SystemScores
from .scorers import Scorer


FORMAT = 1
# More failures than this are in the JSON only.
FAILURES_SHOWN = 20
LIBRARIES = ("deepaudio-diffusers", "torch", "torchmetrics", "jiwer", "fastdtw", "pyworld-prebuilt", "numpy")


def make_report(
    systems: Sequence[SystemScores],
    scorers: Sequence[Scorer],
    *,
    seed: int = 0,
    title: str = "Scores",
    benchmark: str | None = None,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Sum up what was measured.

    Args:
        systems (sequence of `SystemScores`): Measured by the same scorers.
        scorers (sequence of `Scorer`): What was measured.
        seed (`int`, defaults to 0): Of the bootstrap.
        title (`str`): Of the report.
        benchmark (`str`, *optional*): Which clips these are, if they are those of a published benchmark; see
            [`published_tables`].
        settings (`dict`, *optional*): What else a reader should know, such as how results were generated.

    Returns:
        `dict`: What [`write_report`] writes as JSON.
    """
    figures = [figure for scorer in scorers for figure in scorer.figures]
    report = {
        "format": FORMAT,
        "title": title,
        "benchmark": benchmark,
        "settings": settings or {},
        "seed": seed,
        "interval": "95 %, percentile bootstrap over clips; of distances of sets centred, from 100 draws",
        "versions": _versions(),
        "figures": {
            figure.name: {
                "title": figure.title,
                "unit": figure.unit,
                "lower_is_better": figure.lower_is_better,
                "columns": list(figure.columns),
                "scorer": scorer.name,
            }
            for scorer in scorers
            for figure in scorer.figures
        },
        "protocol": {scorer.name: scorer.protocol for scorer in scorers},
        "systems": {
            system.name: {
                "num_clips": len(system.records),
                "failures": system.failures,
                "unexpected": system.unexpected,
                "figures": {figure.name: _as_json(system.estimate(figure, seed)) for figure in figures},
                "figures_without_failures": {
                    figure.name: _as_json(system.estimate(figure, seed, with_failures=False)) for figure in figures
                }
                if system.failures
                else {},
                "clips": [_without_vectors(record) for record in system.records],
            }
            for system in systems
        },
    }
    return report


def write_report(report: dict[str, Any], folder: str | Path) -> None:
    """Write `report.json` and `report.md` to a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_whole(folder / "report.md", to_markdown(report))


def read_report(path: str | Path) -> dict[str, Any]:
    """Read a report that `write_report` wrote.

    Raises:
        InputError: When there is none, or it is none.
    """
    path = Path(path)
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"`{path.name}` cannot be read as a report: {error}") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise InputError(f"`{path.name}` is no report of format {FORMAT}; pass a report.json of this version.")
    return report


def to_markdown(report: dict[str, Any]) -> str:
    """A report as people read it."""
    names = list(report["systems"])
    lines = []
    for name, figure in report["figures"].items():
        unit = f" ({figure['unit']})" if figure["unit"] else ""
        arrow = "↓" if figure["lower_is_better"] else "↑"
        cells = [shown(_as_estimate(report["systems"][system]["figures"][name])) for system in names]
        lines.append([f"{figure['title']}{unit} {arrow}", *cells])
    counts = [[str(system["num_clips"]), str(len(system["failures"]))] for system in report["systems"].values()]
    lines.append(["clips", *(count[0] for count in counts)])
    lines.append(["failed results, counted in", *(count[1] for count in counts)])
    parts = [f"# {report['title']}", markdown_table(["", *names], lines)]
    parts.append(f"In brackets: {report['interval']}; seed {report['seed']}.")
    parts += _published_parts(report)
    parts += _failure_parts(report)
    parts.append("## Protocol")
    parts.append(
        "\n".join(
            f"- **{scorer}**: {'; '.join(f'{key}: {value}' for key, value in protocol.items())}"
            for scorer, protocol in report["protocol"].items()
        )
    )
    if report["settings"]:
        parts.append("\n".join(f"- {key}: {value}" for key, value in report["settings"].items()))
    parts.append(f"Made with {', '.join(f'{name} {number}' for name, number in report['versions'].items())}.")
    return "\n\n".join(parts) + "\n"


def _published_parts(report: dict[str, Any]) -> list[str]:
    if report["benchmark"] is None:
        return []
    comparison: Comparison = compare_with_published(report)
    parts = [f"## Published: {comparison.title}"]
    if comparison.rows:
        titles = [report["figures"][name]["title"] for name in comparison.figures]
        measured = [
            [f"**{system}** (measured)", *(shown(_as_estimate(own["figures"][name])) for name in comparison.figures)]
            for system, own in report["systems"].items()
        ]
        published = [
            [row["system"], *("-" if row.get(name) is None else f"{row[name]:g}" for name in comparison.figures)]
            for row in comparison.rows
        ]
        parts.append(markdown_table(["system", *titles], measured + published))
    if comparison.reasons:
        lines = [f"- {name}: {reason}" for name, reason in comparison.reasons.items()]
        parts.append("Not beside each other, because protocols differ:\n\n" + "\n".join(lines))
    parts.append(f"Source: {comparison.source}")
    return parts


def _failure_parts(report: dict[str, Any]) -> list[str]:
    parts = []
    for name, system in report["systems"].items():
        if system["failures"]:
            failures = list(system["failures"].items())
            lines = [f"- `{key}`: {reason}" for key, reason in failures[:FAILURES_SHOWN]]
            if len(failures) > FAILURES_SHOWN:
                lines.append(f"- and {len(failures) - FAILURES_SHOWN} more, in report.json")
            rest = ", ".join(
                f"{report['figures'][figure]['title']} {shown(_as_estimate(estimate))}"
                for figure, estimate in system["figures_without_failures"].items()
                if estimate is not None
            )
            parts += [
                f"## Failed results of {name}",
                "\n".join(lines),
                f"The {system['num_clips'] - len(failures)} others alone: {rest or 'nothing'}.",
            ]
        if system["unexpected"]:
            parts.append(
                f"Files of {name} that belong to no clip ({len(system['unexpected'])}): "
                + ", ".join(f"`{file}`" for file in system["unexpected"][:FAILURES_SHOWN])
            )
    return parts


def _without_vectors(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if not isinstance(value, np.ndarray)}


def _as_json(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)


def _as_estimate(values: dict[str, Any] | None) -> Estimate | None:
    return None if values is None else Estimate(**values)


def _versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    versions = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
