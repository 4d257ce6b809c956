# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Training data in the forms that people have it in: a folder, WebDataset shards, a data set on the Hub.

- A folder with `metadata.jsonl`, one JSON object a line: `file_name` is a video or sound beside it, and the other
  fields are known about it (`prompt`, `transcript`, `speaker`, ...).
- A folder with `*.tar` shards, whose files that share a name up to the first dot are one sample, its metadata in
  `.json`.
- The name of a data set on the Hub, or `NAME:SPLIT`; its columns with files are files, the others metadata.
"""

import argparse
import json
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ..errors import InputError


METADATA_FILE = "metadata.jsonl"
DATA_REPORT_FILE = "data_report.json"
VIDEO_SUFFIXES = ("mp4", "mov", "mkv", "webm", "avi", "m4v")
AUDIO_SUFFIXES = ("wav", "flac", "mp3", "ogg", "opus", "m4a")


@dataclass(frozen=True)
class Sample:
    """
    One clip or utterance.

    Args:
        key (`str`): Its name.
        files (`dict[str, bytes | Path]`): Its files by suffix, without the first dot: `"mp4"`, `"wav"`,
            `"speech.wav"`.
        metadata (`dict[str, Any]`): What is known about it.
    """

    key: str
    files: dict[str, bytes | Path]
    metadata: dict[str, Any]

    @property
    def video(self) -> bytes | Path | None:
        """The file with pictures, if there is one."""
        return next((file for suffix, file in self.files.items() if suffix in VIDEO_SUFFIXES), None)

    @property
    def audio(self) -> bytes | Path | None:
        """The file with the sound: a sound file, or else the video."""
        return next((file for suffix, file in self.files.items() if suffix in AUDIO_SUFFIXES), self.video)


@dataclass
class DataReport:
    """
    Counts what could not be used, so that nothing is left out silently.

    Args:
        on_bad_data (`"skip"` or `"error"`): Whether a sample that cannot be used is left out or ends the work.
        used (`int`): Samples that were used.
        reasons (`dict[str, int]`): How many were left out for which reason.
        examples (`dict[str, str]`): The first sample of each reason, with what was wrong.
        remarks (`dict[str, int]`): How many are used although something is missing that most have.
    """

    on_bad_data: str = "skip"
    used: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)

    def leave_out(self, sample_key: str, reason: str, detail: object = "") -> None:
        """Note that a sample is left out.

        Raises:
            InputError: With `on_bad_data="error"`.
        """
        if self.on_bad_data == "error":
            raise InputError(
                f"The sample {sample_key!r} cannot be used: {reason}. {detail} Repair it, or pass "
                "`--on_bad_data skip`."
            )
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.examples.setdefault(reason, f"{sample_key}: {detail}" if str(detail) else sample_key)

    def __str__(self) -> str:
        lines = [f"{self.used} samples used, {sum(self.reasons.values())} left out"]
        lines += [f"  {count} x {reason} (first: {self.examples[reason]})" for reason, count in self.reasons.items()]
        lines += [f"  {count} used {remark}" for remark, count in self.remarks.items() if count]
        return "\n".join(lines)


def write_data_report(args: argparse.Namespace, accelerator: Accelerator, **reports: DataReport) -> None:
    """Print what was used and left out of each data set, and write it to `data_report.json` in `--output_dir`.

    Args:
        args (`argparse.Namespace`): With the arguments of [`~training.arguments.add_training_arguments`].
        accelerator (`Accelerator`): Only its main process writes.
        **reports (`DataReport`): Those of the data sets, by name.
    """
    for name, report in reports.items():
        accelerator.print(f"{name} data: {report}")
    if accelerator.is_main_process:
        content = {name: asdict(report) for name, report in reports.items()}
        (args.output_dir / DATA_REPORT_FILE).write_text(json.dumps(content, indent=2), encoding="utf-8")


def read_samples(source: str | Path, report: DataReport) -> Iterator[Sample]:
    """The samples of a data set in a fixed order.

    Args:
        source (`str` or `Path`): A folder or the name of a data set on the Hub; see above.
        report (`DataReport`): Told of shards that are damaged and lines that cannot be read.

    Raises:
        InputError: `source` is a folder without data.
    """
    folder = Path(source)
    if not folder.is_dir():
        if folder.suffix or str(source).count("/") > 1 or str(source).startswith((".", "/")):
            raise InputError(f"There is no folder {source}; pass one, or the name of a data set on the Hub.")
        yield from _read_hub(str(source))
    elif (folder / METADATA_FILE).is_file():
        yield from _read_folder(folder, report)
    elif shards := sorted(folder.glob("*.tar")):
        for shard in shards:
            yield from _read_shard(shard, report)
    else:
        raise InputError(f"{folder} has neither {METADATA_FILE} nor *.tar shards; see docs/training.md for the forms.")


def count_samples(source: str | Path) -> int | None:
    """About how many samples [`read_samples`] will give, without reading them; `None` for data sets on the Hub."""
    folder = Path(source)
    if (folder / METADATA_FILE).is_file():
        with open(folder / METADATA_FILE, encoding="utf-8") as lines:
            return sum(1 for _ in lines)
    return sum(map(_count_shard, folder.glob("*.tar"))) if folder.is_dir() else None


def _count_shard(shard: Path) -> int:
    keys = set()
    # Damage is reported when the samples are read.
    with suppress(tarfile.TarError, EOFError, OSError), tarfile.open(shard) as archive:
        keys |= {member.name.partition(".")[0] for member in archive}
    return len(keys)


def _read_folder(folder: Path, report: DataReport) -> Iterator[Sample]:
    lines = (folder / METADATA_FILE).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            metadata = json.loads(line)
            file = folder / metadata.pop("file_name")
        except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
            report.leave_out(f"{METADATA_FILE}:{number}", "a line is no JSON object with file_name", error)
            continue
        if not file.is_file():
            report.leave_out(file.name, "the file is missing", file)
            continue
        yield Sample(key=file.stem, files={file.suffix[1:].lower(): file}, metadata=metadata)


def _read_shard(shard: Path, report: DataReport) -> Iterator[Sample]:
    try:
        with tarfile.open(shard) as archive:
            key, files = None, {}
            for member in archive:
                member_key, _, suffix = member.name.partition(".")
                if member_key != key and key is not None:
                    yield from _make_sample(key, files, report)
                    files = {}
                key = member_key
                content = archive.extractfile(member)
                if content is not None:
                    files[suffix.lower()] = content.read()
            if key is not None:
                yield from _make_sample(key, files, report)
    except (tarfile.TarError, EOFError, OSError) as error:
        report.leave_out(shard.name, "the shard is damaged; what comes after the damage is lost", error)


def _make_sample(key: str, files: dict[str, bytes], report: DataReport) -> Iterator[Sample]:
    try:
        metadata = json.loads(files.pop("json", b"{}"))
    except ValueError as error:
        report.leave_out(key, "its metadata is no JSON", error)
        return
    yield Sample(key=key, files=files, metadata=metadata)


def _read_hub(name: str) -> Iterator[Sample]:
    from datasets import Audio, Video, load_dataset

    name, _, split = name.partition(":")
    dataset = load_dataset(name, split=split or "train", streaming=True)
    media = {column: kind for column, kind in dataset.features.items() if isinstance(kind, Audio | Video)}
    for column, kind in media.items():
        dataset = dataset.cast_column(column, type(kind)(decode=False))
    for index, row in enumerate(dataset):
        files = {}
        for column in media:
            file = row.pop(column)
            suffix = Path(file["path"] or f"{column}.bin").suffix[1:].lower()
            files[suffix] = file["bytes"] if file["bytes"] is not None else Path(file["path"])
        yield Sample(key=str(index), files=files, metadata=row)
