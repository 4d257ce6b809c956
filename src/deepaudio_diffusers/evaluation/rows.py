# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows of a report that is made over hours: what was measured of each clip is kept, so that a report that was broken
off goes on where it stopped, and is written anew without measuring anew."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .files import write_whole
from .intervals import Estimate, bootstrap


Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """
    What was measured of the clips of one system.

    Args:
        name (`str`): Of the row.
        records (`list[Record]`): One for each clip, of numbers and texts.
        cpu_s (`float`): CPU seconds that it took.
    """

    name: str
    records: list[Record]
    cpu_s: float

    def values(self, *names: str, where: Callable[[Record], bool] = lambda record: True) -> np.ndarray:
        """What the clips have under one name, `(num_clips,)`, or under several, `(num_clips, num_names)`.

        Args:
            names (`str`): Names that all these clips have.
            where (`Callable`): Chooses the clips; all by default.
        """
        columns = [[record[name] for record in self.records if where(record)] for name in names]
        return np.array(columns[0] if len(names) == 1 else columns, dtype=np.float64).T

    def estimate(
        self,
        *names: str,
        statistic: Callable[[np.ndarray], float] = np.mean,
        where: Callable[[Record], bool] = lambda record: True,
    ) -> Estimate | None:
        """A figure with its interval; `None` without clips that it could be about."""
        values = self.values(*names, where=where)
        return bootstrap(values, statistic) if len(values) else None


class RowStore:
    """
    A folder of rows.

    Args:
        folder (`Path`): Made when there is none. It should be named after what the rows depend on.
        resume (`bool`): Whether rows that are there already are taken as they are.
    """

    def __init__(self, folder: Path, resume: bool) -> None:
        self.folder = folder
        self.resume = resume
        folder.mkdir(parents=True, exist_ok=True)

    def row(self, name: str, measure: Callable[[], tuple[list[Record], float]]) -> Row:
        """The row of that name, measured unless it is there.

        Args:
            name (`str`): Letters, digits, `-`, `_` and `.`.
            measure (`Callable`): Returns the records and the CPU seconds that they took.

        Raises:
            InputError: When a name occurs that no file can have.
        """
        if not name or not all(letter.isalnum() or letter in "-_." for letter in name):
            raise InputError(f"`name` is {name!r}; use letters, digits, '-', '_' and '.'.")
        path = self.folder / f"{name}.json"
        if self.resume and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            return Row(name, kept["records"], kept["cpu_s"])
        records, cpu_s = measure()
        write_whole(path, json.dumps({"cpu_s": cpu_s, "records": records}))
        return Row(name, records, cpu_s)


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A table; the first column is text, the others are figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(estimate: Estimate | None, digits: int = 3) -> str:
    """A figure with its interval, such as "0.949 (0.931 to 0.962)"; "-" where there is none."""
    if estimate is None:
        return "-"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def in_batches(items: list, size: int) -> Iterator[list]:
    """Lists of at most `size` of the items, in order."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
