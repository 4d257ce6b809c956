# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Two reports beside each other: which differences are larger than chance among the clips explains.

Where both reports have the same clips, and have kept what a figure sums up, clips are drawn anew together: the
interval is that of the difference. Else intervals of the figures themselves are compared, which finds less.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .distributions import inception_score
from .intervals import Estimate, bootstrap
from .onsets import f1_score
from .rows import markdown_table, shown
from .words import corpus_error_rate, mean_error_rate


# Figures of which the mean over clips is taken have no entry.
STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "wer": corpus_error_rate,
    "wer_mean": mean_error_rate,
    "cer": corpus_error_rate,
    "onset_f1": f1_score,
    "is": inception_score,
}


@dataclass(frozen=True)
class Difference:
    """
    One figure of one system in two reports.

    Args:
        system, figure, title (`str`): What it is about.
        first, second (`Estimate` or `None`): What both reports say.
        difference (`Estimate` or `None`): Second minus first on the same clips, where that can be told.
        verdict (`str`): `"better"`, `"worse"`, `"no difference"` or `"not comparable"`, of the second.
        reason (`str`): What the verdict rests on.
    """

    system: str
    figure: str
    title: str
    first: Estimate | None
    second: Estimate | None
    difference: Estimate | None
    verdict: str
    reason: str


def compare_reports(first: dict[str, Any], second: dict[str, Any]) -> list[Difference]:
    """All figures of all systems that both reports have. A single system in each is compared whatever its names.

    Args:
        first, second (`dict`): From [`read_report`].
    """
    pairs = [(name, name) for name in first["systems"] if name in second["systems"]]
    if not pairs and len(first["systems"]) == len(second["systems"]) == 1:
        pairs = [(next(iter(first["systems"])), next(iter(second["systems"])))]
    return [
        _difference(name, first, second, first["systems"][name], second["systems"][other], figure)
        for name, other in pairs
        for figure in first["figures"]
        if figure in second["figures"]
    ]


def _difference(
    system: str,
    first: dict[str, Any],
    second: dict[str, Any],
    first_scores: dict[str, Any],
    second_scores: dict[str, Any],
    name: str,
) -> Difference:
    figure = first["figures"][name]
    estimates = [
        None if scores["figures"][name] is None else Estimate(**scores["figures"][name])
        for scores in (first_scores, second_scores)
    ]

    def result(verdict: str, reason: str, difference: Estimate | None = None) -> Difference:
        return Difference(system, name, figure["title"], *estimates, difference, verdict, reason)

    protocols = [report["protocol"][report["figures"][name]["scorer"]] for report in (first, second)]
    if protocols[0] != protocols[1]:
        keys = sorted(protocols[0].keys() | protocols[1].keys())
        differing = [key for key in keys if protocols[0].get(key) != protocols[1].get(key)]
        return result("not comparable", f"protocols differ in {', '.join(differing)}")
    if None in estimates:
        return result("not comparable", "too few clips")
    records = [{clip["key"]: clip for clip in scores["clips"]} for scores in (first_scores, second_scores)]
    columns = figure["columns"]
    kept = all(column in clip for record in records for clip in record.values() for column in columns)
    if records[0].keys() == records[1].keys() and kept:
        difference = _paired(*records, columns, STATISTICS.get(name, np.mean), first["seed"])
        low, high, reason = difference.low, difference.high, "of the difference on the same clips"
    else:
        difference = None
        low = estimates[1].low - estimates[0].high
        high = estimates[1].high - estimates[0].low
        reason = "intervals of both, not of the same clips" if kept else "intervals of both"
    if low <= 0 <= high:
        return result("no difference", reason, difference)
    is_better = (high < 0) == figure["lower_is_better"]
    return result("better" if is_better else "worse", reason, difference)


def _paired(
    first: dict[str, Any],
    second: dict[str, Any],
    columns: list[str],
    statistic: Callable[[np.ndarray], float],
    seed: int,
) -> Estimate:
    rows = np.array([[record[key][column] for record in (first, second) for column in columns] for key in first])
    half = len(columns)
    return bootstrap(rows, lambda both: statistic(both[:, half:]) - statistic(both[:, :half]), seed=seed)


def comparison_to_markdown(differences: list[Difference]) -> str:
    """What was compared, as people read it."""
    marks = {"better": "**better**", "worse": "**worse**"}
    lines = [
        [
            f"{each.system}: {each.title}",
            shown(each.first),
            shown(each.second),
            shown(each.difference),
            marks.get(each.verdict, each.verdict),
            each.reason,
        ]
        for each in differences
    ]
    return markdown_table(["figure", "first", "second", "second - first", "verdict", "by the 95 % interval"], lines)


def comparison_to_json(differences: list[Difference]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [asdict(each) for each in differences]
