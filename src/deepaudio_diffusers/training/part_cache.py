# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What was decoded from a data set, kept in files that are mapped into memory.

A cache is a folder with parts. Part `NNNNN` has one file `NAME-NNNNN.npy` for each kind of array, in which the arrays
of its items stand one after the other along the first axis, and `items-NNNNN.json` with the number of rows of each
item and what is known about it. That file is written last: a part that has it is whole and is not made again.
`manifest.json` says of which data and by which settings the cache was made, and, once it is complete, how many parts
there are and what was left out.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.utils import tqdm

from ..errors import InputError
from .data import DataReport, Sample, count_samples, read_samples


MANIFEST_FILE = "manifest.json"
SAMPLES_OF_A_PART = 64
# Files that a cache keeps open; systems allow a process about a thousand.
MAX_OPEN_FILES = 256


@dataclass(frozen=True)
class CacheItem:
    """
    What one sample becomes.

    Args:
        arrays (`dict[str, np.ndarray]`): Arrays by name. The shapes of equal names differ in the first axis alone.
        metadata (`dict[str, Any]`): What is known about it and can be written as JSON.
    """

    arrays: dict[str, np.ndarray]
    metadata: dict[str, Any]


class PartCache:
    """
    The items of a complete cache.

    Args:
        folder (`Path`): The folder.

    Raises:
        InputError: The cache is not complete, or has no items.
    """

    def __init__(self, folder: Path) -> None:
        manifest_path = folder / MANIFEST_FILE
        manifest = json.loads(manifest_path.read_text(encoding="utf-8")) if manifest_path.is_file() else {}
        if "num_parts" not in manifest:
            raise InputError(f"The cache {folder} is not complete; build it once more, which goes on where it ended.")
        self.report: dict[str, Any] = manifest["report"]
        self.metadata: list[dict[str, Any]] = []
        self._folder = folder
        self._open_files: dict[tuple[str, int], np.ndarray] = {}
        self._lengths: dict[str, list[int]] = {}
        # For each item its part, and for each kind of array the row of that part where the item begins.
        self._part_of: list[int] = []
        self._starts: dict[str, list[int]] = {}
        for part in range(manifest["num_parts"]):
            self._add_part(part)
        if not self.metadata:
            raise InputError(f"No sample of the data could be used; {folder / MANIFEST_FILE} says why.")

    def _add_part(self, part: int) -> None:
        items = json.loads((self._folder / f"items-{part:05d}.json").read_text(encoding="utf-8"))["items"]
        rows = dict.fromkeys(items[0]["lengths"], 0) if items else {}
        for item in items:
            self.metadata.append(item["metadata"])
            self._part_of.append(part)
            for name, length in item["lengths"].items():
                self._lengths.setdefault(name, []).append(length)
                self._starts.setdefault(name, []).append(rows[name])
                rows[name] += length

    def __len__(self) -> int:
        return len(self.metadata)

    def lengths(self, name: str) -> np.ndarray:
        """The number of rows of each item's array `name`."""
        return np.array(self._lengths[name])

    def array(self, name: str, index: int) -> np.ndarray:
        """The array `name` of item `index`: a view of the file, of which nothing is read before it is used."""
        start = self._starts[name][index]
        return self._open(name, self._part_of[index])[start : start + self._lengths[name][index]]

    def _open(self, name: str, part: int) -> np.ndarray:
        if (name, part) not in self._open_files:
            if len(self._open_files) == MAX_OPEN_FILES:
                # Items are asked for in random order, so any will do: the one that was opened first.
                del self._open_files[next(iter(self._open_files))]
            self._open_files[name, part] = np.load(self._folder / f"{name}-{part:05d}.npy", mmap_mode="r")
        return self._open_files[name, part]

    def __getstate__(self) -> dict[str, Any]:
        # Pickled for another process, a mapped array would be a copy of the whole file.
        return vars(self) | {"_open_files": {}}


def fingerprint_of_sources(sources: Iterable[str | Path]) -> list[Any]:
    """What tells data sets apart without reading them: their names, and the names and sizes of their files."""
    fingerprint = []
    for source in sources:
        folder = Path(source)
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        # Not the name of a folder, which may be moved.
        name = folder.name if files else str(source)
        fingerprint.append([name, [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in files]])
    return fingerprint


MakeItem = Callable[[Sample, DataReport], CacheItem | None]


def build_cache(
    folder: Path,
    fingerprint: Any,
    sources: Sequence[str | Path],
    make_item: MakeItem,
    report: DataReport,
    max_samples: int | None = None,
) -> PartCache:
    """Make a cache, go on with one that was broken off, or open one that is complete.

    Args:
        folder (`Path`): Its folder, made if needed.
        fingerprint: All that decides about the contents of the cache, as JSON.
        sources (`Sequence[str | Path]`): Data sets, one after the other; see [`~training.data.read_samples`].
        make_item (`Callable`): Makes an item of a sample, or tells the report why it cannot and returns `None`.
        report (`DataReport`): Told of what was used and left out, now or when the parts were made.
        max_samples (`int`, *optional*): How many samples are read.

    Raises:
        InputError: There is a cache of other data or settings in the folder, no sample could be used, or one could not
            and the report asks for an error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()
    manifest_path = folder / MANIFEST_FILE
    if not manifest_path.is_file():
        _write_json(manifest_path, {"fingerprint": digest})
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    if manifest["fingerprint"] != digest:
        raise InputError(
            f"The cache {folder} was made of other data or with other settings; remove it, or pass another "
            "`--cache_dir`."
        )
    if "num_parts" not in manifest:
        cache_report = DataReport(on_bad_data=report.on_bad_data)
        samples = chain.from_iterable(read_samples(source, cache_report) for source in sources)
        # The bar is a guess where data are damaged.
        counts = [count_samples(source) for source in sources]
        total = None if None in counts else min(sum(counts), max_samples or sum(counts))
        with tqdm(islice(samples, max_samples), total=total, unit="sample", desc=f"Cache {folder.name}") as bar:
            num_parts = _build_parts(folder, iter(bar), make_item, cache_report)
        manifest |= {"num_parts": num_parts, "report": asdict(cache_report)}
        _write_json(manifest_path, manifest)
    _add_to_report(report, manifest["report"])
    return PartCache(folder)


def _build_parts(folder: Path, samples: Iterator[Sample], make_item: MakeItem, report: DataReport) -> int:
    """Make the parts that are missing; returns how many parts there are."""
    part = 0
    while group := list(islice(samples, SAMPLES_OF_A_PART)):
        path = folder / f"items-{part:05d}.json"
        if not path.is_file():
            part_report = DataReport(on_bad_data=report.on_bad_data)
            items = [item for sample in group if (item := make_item(sample, part_report)) is not None]
            part_report.used = len(items)
            for name in items[0].arrays if items else ():
                _write_array(folder / f"{name}-{part:05d}.npy", np.concatenate([item.arrays[name] for item in items]))
            rows = [
                {"lengths": {name: len(array) for name, array in item.arrays.items()}, "metadata": item.metadata}
                for item in items
            ]
            _write_json(path, {"items": rows, "report": asdict(part_report)})
        _add_to_report(report, json.loads(path.read_text(encoding="utf-8"))["report"])
        part += 1
    return part


def _add_to_report(report: DataReport, other: dict[str, Any]) -> None:
    """Add what a report, as JSON, says to `report`."""
    report.used += other["used"]
    for reason, count in other["reasons"].items():
        # Raises the error that a report may ask for, also where the cache was made without.
        report.leave_out(other["examples"][reason], reason)
        report.reasons[reason] += count - 1


def _write_json(path: Path, content: Any) -> None:
    partial = _partial_path(path)
    partial.write_text(json.dumps(content), encoding="utf-8")
    os.replace(partial, path)


def _write_array(path: Path, array: np.ndarray) -> None:
    partial = _partial_path(path)
    with open(partial, "wb") as file:
        np.save(file, array)
    os.replace(partial, path)


def _partial_path(path: Path) -> Path:
    # Two trainings may build one cache at the same time.
    return path.with_name(f".{path.name}.{os.getpid()}")
