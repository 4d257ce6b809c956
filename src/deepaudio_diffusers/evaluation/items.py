# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is scored: results with what belongs to them, from a manifest, a folder of results or a data set of `datasets`.

A manifest has one JSON object a line. `key` names the clip; the other fields are files, relative to the manifest, or
texts, and only those that the scores need have to be there:

    {"key": "clip-1", "result": "out/clip-1.wav", "reference": "true/clip-1.wav", "video": "clip-1.mp4",
     "prompt": "drums", "transcript": "set blue by nine", "voice": "voice.wav", "voice_text": "place red at four"}
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError, MediaError
from ..processing.audio import read_waveform
from .optional import require


FILE_FIELDS = ("result", "reference", "video", "voice")
TEXT_FIELDS = ("prompt", "transcript", "voice_text")
RESULT_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".mov", ".mkv", ".webm")
# What is shorter holds nothing that could be scored.
SHORTEST_RESULT_IN_S = 0.1
# How long a result that is not there counts as where nothing says how long it should be.
UNKNOWN_LENGTH_IN_S = 1.0
# As loud as the last bit of 16.
SILENT_PEAK = 2**-15


@dataclass(frozen=True)
class Item:
    """
    One clip of a manifest.

    Args:
        key (`str`): Its name.
        result, reference, video, voice (path, bytes or `None`): Files: what was made, what it should be like, what is
            seen, and a recording of the voice.
        prompt, transcript, voice_text (`str` or `None`): What should be heard, what should be said, and what the voice
            says in its recording.
    """

    key: str
    result: Path | bytes | None = None
    reference: Path | bytes | None = None
    video: Path | bytes | None = None
    voice: Path | bytes | None = None
    prompt: str | None = None
    transcript: str | None = None
    voice_text: str | None = None


@dataclass(frozen=True, eq=False)
class LoadedItem:
    """
    An item with its sounds.

    Args:
        item (`Item`): The item.
        waveform (`torch.Tensor` of shape `(num_samples,)`): The result, mono; silence when there is none.
        sampling_rate (`int`): Of the result.
        reference (`torch.Tensor` of shape `(num_samples,)` or `None`): The reference, mono.
        reference_sampling_rate (`int` or `None`): Of the reference.
        failure (`str` or `None`): Why the result counts as failed.
    """

    item: Item
    waveform: torch.Tensor
    sampling_rate: int
    reference: torch.Tensor | None
    reference_sampling_rate: int | None
    failure: str | None

    @property
    def length_in_s(self) -> float:
        return len(self.waveform) / self.sampling_rate

    @property
    def reference_length_in_s(self) -> float:
        return len(self.reference) / self.reference_sampling_rate

    def recording(self, name: str) -> tuple[torch.Tensor, int]:
        """The recording in a field, `"reference"` or `"voice"`: `(num_samples,)`, and its sampling rate.

        Raises:
            MediaError: When it cannot be read.
        """
        return (self.reference, self.reference_sampling_rate) if name == "reference" else _mono(self.item.voice)


def read_items(source: str | Path) -> list[Item]:
    """The items of a manifest, or of a data set that `datasets` saved to a folder, in order.

    Raises:
        InputError: When there is no such file or folder, a line is not as described, or a key occurs twice.
    """
    source = Path(source)
    if source.is_dir():
        if not (source / "dataset_info.json").is_file():
            raise InputError(f"`{source.name}` is no data set saved by `datasets`; pass one, or a manifest.")
        return items_of_dataset(require("datasets", "Reading a data set").load_from_disk(str(source)))
    if not source.is_file():
        raise InputError(f"There is no manifest {source}; pass a file with one JSON object a line.")
    rows = []
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"Line {number} of {source.name} is no JSON ({error}).") from error
        if not isinstance(row, dict):
            raise InputError(f"Line {number} of {source.name} is {row!r}; expected a JSON object.")
        rows.append(row)
    return _items(rows, source.parent)


def items_of_dataset(dataset: Any) -> list[Item]:
    """The items of a data set.

    Args:
        dataset (`datasets.Dataset`): With columns named as the fields of [`Item`]. Columns of files may be `Audio`,
            `Video`, or paths; without the column `key`, clips are numbered.

    Raises:
        InputError: When a column has another type, or a key occurs twice.
    """
    datasets = require("datasets", "Reading a data set")
    for name, kind in dataset.features.items():
        if isinstance(kind, datasets.Audio | datasets.Video):
            # Files are decoded by this package, which says what is wrong with them.
            dataset = dataset.cast_column(name, type(kind)(decode=False))
    known = {field.name for field in fields(Item)}
    rows = []
    for number, row in enumerate(dataset):
        row = {name: value for name, value in row.items() if name in known}
        for name in FILE_FIELDS:
            if isinstance(row.get(name), Mapping):
                row[name] = row[name]["bytes"] if row[name]["bytes"] is not None else row[name]["path"]
        rows.append({"key": f"{number:06d}"} | row)
    return _items(rows, Path())


def with_results(items: list[Item], folder: str | Path) -> tuple[list[Item], list[str]]:
    """Items whose results are the files of a folder that are named by their keys.

    Args:
        items (`list[Item]`): Of a manifest.
        folder (`str` or `Path`): With `KEY.wav` or another sound or video for each.

    Returns:
        `tuple[list[Item], list[str]]`: The items, `None` for results that are missing, and the names of files that
        belong to no item.

    Raises:
        InputError: When there is no such folder, or two results of one item.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder} of results.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in RESULT_SUFFIXES:
            if path.stem in found:
                raise InputError(f"`{folder.name}` has both {found[path.stem].name} and {path.name}; leave one.")
            found[path.stem] = path
    own = [replace(item, result=found.pop(item.key, None)) for item in items]
    return own, sorted(path.name for path in found.values())


def load_item(item: Item) -> LoadedItem:
    """Read the sounds of an item. What is wrong with its result is noted, not raised.

    Raises:
        InputError: When the reference cannot be read: then nobody knows what the result should be.
    """
    reference, reference_rate = None, None
    if item.reference is not None:
        try:
            reference, reference_rate = _mono(item.reference)
        except (MediaError, InputError) as error:
            raise InputError(f"The reference of {item.key!r} cannot be read: {error}") from error
    waveform, rate, failure = torch.zeros(0), reference_rate or 16_000, None
    if item.result is None:
        failure = "missing"
    else:
        try:
            waveform, rate = _mono(item.result)
        except (MediaError, InputError) as error:
            failure = f"unreadable: {error}"
    if failure is None and len(waveform) < SHORTEST_RESULT_IN_S * rate:
        failure = f"too short: {len(waveform)} samples"
    elif failure is None and waveform.abs().max() < SILENT_PEAK:
        failure = "silent"
    if failure is not None:
        # Whatever could not be made counts as silence.
        length_in_s = UNKNOWN_LENGTH_IN_S if reference is None else len(reference) / reference_rate
        waveform = torch.zeros(round(length_in_s * rate))
    return LoadedItem(item, waveform, rate, reference, reference_rate, failure)


def _items(rows: Iterable[Mapping[str, Any]], folder: Path) -> list[Item]:
    known = [field.name for field in fields(Item)]
    items, keys = [], set()
    for number, row in enumerate(rows, start=1):
        values = {name: row[name] for name in known if row.get(name) is not None}
        if not isinstance(values.get("key"), str) or not values["key"]:
            raise InputError(f"Entry {number} has the key {row.get('key')!r}; expected a text.")
        if values["key"] in keys:
            raise InputError(f"The key {values['key']!r} occurs twice.")
        keys.add(values["key"])
        for name, value in values.items():
            if name in FILE_FIELDS and isinstance(value, str):
                values[name] = folder / value
            elif not isinstance(value, bytes if name in FILE_FIELDS else str):
                raise InputError(f"`{name}` of {values['key']!r} is a {type(value).__name__}; expected a text.")
        items.append(Item(**values))
    if not items:
        raise InputError("There is nothing to score: no entries.")
    return items


def _mono(source: Path | bytes) -> tuple[torch.Tensor, int]:
    waveform, sampling_rate = read_waveform(source)
    return waveform.mean(0), sampling_rate
