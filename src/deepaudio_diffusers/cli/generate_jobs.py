# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What `deepaudio generate` is to make: one job for each clip of the command line, of a folder, or of a list."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from ..media.mux import AUDIO_FORMATS, VIDEO_FORMATS
from ..media.source import printable
from ..tasks import NEEDS_SPEECH, NEEDS_VIDEO, TASKS


# By these a clip in a folder is told from other files.
CLIP_EXTENSIONS = {
    *VIDEO_FORMATS,
    *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".wmv"),
}
LIST_EXTENSIONS = (".jsonl", ".csv")
# Matroska holds the pictures of every format that cannot be written.
USUAL_EXTENSION = ".mkv"
# What a list may say about a clip, and what the options of the same names say about all of them.
TEXTS = ("task", "instruction", "prompt", "negative_prompt", "contour_prompt", "transcript", "voice_text")
FIELDS = ("file_name", "name", *TEXTS, "voice", "length", "seed")
# The kinds of files, and how they are called.
EXTENSIONS = {
    "wav": (".wav",),
    "flac": (".flac",),
    "stems": (".ambience.wav", ".speech.wav"),
    "spectrogram": (".png",),
}
KINDS = ("video", *EXTENSIONS)
SEED_BYTES = 6


@dataclass(frozen=True)
class Job:
    """One clip and what is to be made of it.

    Args:
        name (`str`): What the clip is called in the manifest, and what its seed depends on: its path in its folder.
        stem (`str`): The path of the new files in the output folder, without an extension.
        source (`Path` or `None`): The clip; `None` for sound or speech without one.
        kinds (`tuple[str, ...]`): Which files to write, out of `KINDS`.
        seed (`int`): Of its noise.
        extensions (`dict[str, tuple[str, ...]]`): What the files of each kind are called behind their stem.
        voice (`Path` or `None`): Recording of the voice.
        length_in_s (`float` or `None`): How long the sound is to be, where not the whole clip decides.
        texts (`dict[str, str]`): What is known out of `TEXTS`.
    """

    name: str
    stem: str
    source: Path | None
    kinds: tuple[str, ...]
    seed: int
    extensions: dict[str, tuple[str, ...]]
    voice: Path | None = None
    length_in_s: float | None = None
    texts: dict[str, str] = field(default_factory=dict)

    def targets(self, kind: str) -> tuple[str, ...]:
        """The files of a kind, relative to the output folder; of stems, those that there may be."""
        return tuple(self.stem + extension for extension in self.extensions[kind])


def derive_seed(seed: int, name: str) -> int:
    """The seed of one clip, from that of the call: the same wherever the clip stands among others.

    Args:
        seed (`int`): Of the call.
        name (`str`): Of the clip.

    Returns:
        `int`: Below 2**48, so that every reader of JSON keeps it exactly.
    """
    digest = hashlib.sha256(str(seed).encode() + b"\0" + os.fsencode(name))
    return int.from_bytes(digest.digest()[:SEED_BYTES], "big")


def plan_jobs(
    inputs: list[str],
    output: Path,
    *,
    seed: int,
    save: tuple[str, ...] | None,
    voice: Path | None,
    length_in_s: float | None,
    texts: dict[str, str],
) -> tuple[list[Job], Path, Path]:
    """What to make, and where.

    Args:
        inputs (`list[str]`): Clips, folders of clips, and lists; none for a sound without a clip.
        output (`Path`): A folder; or the name of a video or sound file, if there is one job only.
        seed (`int`): Of the call.
        save (`tuple[str, ...]`, *optional*): Kinds of files to write; by default the video, or a WAV without one.
        voice, length_in_s, texts: For all clips about which a list says nothing else; `texts` has the keys `TEXTS`.

    Returns:
        `tuple[list[Job], Path, Path]`: The jobs, the folder that their targets lie in, and the path of the manifest.

    Raises:
        InputError: Something is missing, contradictory or twice; nothing has been written.
    """
    defaults = {**texts, "voice": voice, "length": length_in_s}
    is_file = output.suffix.lower() in VIDEO_FORMATS | AUDIO_FORMATS and not output.is_dir()
    if not inputs:
        if not is_file:
            raise InputError(
                f"`--output` is {str(output)!r}; without a clip pass the name of a sound file, such as speech.wav."
            )
        rows = [{"name": "sound"} | defaults]
    else:
        rows = [defaults | row for text in inputs for row in _rows_of(Path(text), output)]
    if not rows:
        raise InputError(
            f"{' and '.join(map(printable, inputs))} holds no clip; looked for files that end in "
            f"{', '.join(sorted(CLIP_EXTENSIONS))}."
        )
    if is_file and len(rows) > 1:
        raise InputError(f"`--output` is the file {str(output)!r}, but there are {len(rows)} clips; pass a folder.")
    jobs = [_job_of(row, seed, save, output if is_file else None) for row in rows]
    _check_unique(jobs)
    folder = output.parent if is_file else output
    manifest = output.with_suffix(".jsonl") if is_file else output / "manifest.jsonl"
    _check_sources(jobs, folder, manifest, inputs)
    return jobs, folder, manifest


def _rows_of(path: Path, output: Path) -> Iterator[dict[str, Any]]:
    """What a clip, folder or list of the command line stands for."""
    if path.is_dir():
        for clip in _clips_in(path, output):
            yield {"file_name": clip, "name": clip.relative_to(path).as_posix()}
    elif path.suffix.lower() in LIST_EXTENSIONS:
        yield from _rows_of_list(path)
    else:
        yield {"file_name": path, "name": path.name}


def _clips_in(folder: Path, output: Path) -> Iterator[Path]:
    """The clips in a folder and below it, in the order of their names, without hidden ones and without results."""
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not _is_same(here / name, output))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in CLIP_EXTENSIONS:
                yield here / name


def _rows_of_list(path: Path) -> Iterator[dict[str, Any]]:
    read = _read_csv if path.suffix.lower() == ".csv" else _read_jsonl
    try:
        rows = list(read(path))
    except OSError as error:
        raise InputError(f"{printable(path.name)} cannot be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{printable(path.name)} is not text in UTF-8; save it as such.") from error
    if not rows:
        raise InputError(f"{printable(path.name)} holds no clip; write one line for each.")
    for line, row in rows:
        where = f"Line {line} of {printable(path.name)}"
        if unknown := sorted(set(row) - set(FIELDS), key=str):
            raise InputError(f"{where} has the field {unknown[0]!r}; known are {', '.join(FIELDS)}.")
        row = {key: value for key, value in row.items() if value not in (None, "")}
        yield _checked_row(row, where, path.parent)


def _read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"Line {number} of {printable(path.name)} is not JSON: {error}.") from error
        if not isinstance(row, dict):
            raise InputError(f'Line {number} of {printable(path.name)} is no object, {{"file_name": ...}}.')
        yield number, row


def _read_csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            if None in row:
                raise InputError(f"Line {reader.line_num} of {printable(path.name)} has more cells than the first.")
            for name, number in (("length", float), ("seed", int)):
                if row.get(name):
                    try:
                        row[name] = number(row[name])
                    except ValueError as error:
                        raise InputError(
                            f"Line {reader.line_num} of {printable(path.name)} has the {name} {row[name]!r}; expected "
                            "a number."
                        ) from error
            yield reader.line_num, row


def _checked_row(row: dict[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """A line of a list with its paths resolved against the folder of the list."""
    for name in ("file_name", "name", "voice", *TEXTS):
        if name in row and not isinstance(row[name], str):
            raise InputError(f"{where} has the {name} {row[name]!r}; expected text.")
    for name, kinds in (("length", int | float), ("seed", int)):
        if name in row and (not isinstance(row[name], kinds) or isinstance(row[name], bool) or row[name] < 0):
            raise InputError(f"{where} has the {name} {row[name]!r}; expected a number of at least 0.")
    given = row.get("name", row.get("file_name"))
    if given is None:
        raise InputError(f"{where} has neither `file_name`, the clip, nor `name`, what the result is to be called.")
    inside = PurePosixPath(given.replace(os.sep, "/"))
    if inside.is_absolute() or ".." in inside.parts or not inside.name:
        if "name" in row:
            raise InputError(f"{where} has the name {given!r}; expected a path inside the output folder.")
        inside = PurePosixPath(inside.name)
    paths = {key: folder / row[key] for key in ("file_name", "voice") if key in row}
    # What a list says about task or instruction takes the place of whatever the options say about either.
    chosen = {"task": None, "instruction": None} if {"task", "instruction"} & row.keys() else {}
    return chosen | row | paths | {"name": inside.as_posix()} | ({"is_named": True} if "name" in row else {})


def _job_of(row: dict[str, Any], seed: int, save: tuple[str, ...] | None, file: Path | None) -> Job:
    name, source = row["name"], row.get("file_name")
    texts = {key: row[key] for key in TEXTS if row.get(key) is not None}
    stem = name if source is None or "is_named" in row else str(PurePosixPath(name).with_suffix(""))
    is_writable = source is not None and source.suffix.lower() in VIDEO_FORMATS
    extensions = EXTENSIONS | {"video": (source.suffix.lower() if is_writable else USUAL_EXTENSION,)}
    kinds = save or (("wav",) if source is None else ("video",))
    if file is not None:
        stem = file.stem
        kind = "video" if file.suffix.lower() in VIDEO_FORMATS else file.suffix.lower().removeprefix(".")
        extensions[kind] = (file.suffix,)
        kinds = tuple(dict.fromkeys((kind, *(save or ()))))
    job = Job(
        name=name,
        stem=stem,
        source=source,
        kinds=kinds,
        seed=row["seed"] if "seed" in row else derive_seed(seed, name),
        extensions=extensions,
        voice=row.get("voice"),
        length_in_s=row.get("length"),
        texts=texts,
    )
    _check_complete(job)
    return job


def _check_complete(job: Job) -> None:
    """Refuse what the command line can tell to be incomplete, in its own words, before a model is loaded."""
    where = f"For {printable(job.name)}"
    task, instruction = job.texts.get("task"), job.texts.get("instruction")
    if (task is None) == (instruction is None):
        raise InputError(f"{where} pass either --task or --instruction (or the field of that name in a list).")
    if "video" in job.kinds and job.source is None:
        raise InputError(f"{where} there is no clip to put sound into; save wav or flac.")
    if task is None:
        return
    if task not in TASKS:
        raise InputError(f"{where} the task is {task!r}; accepted are {', '.join(TASKS)}.")
    given = job.texts.keys() | ({"voice"} if job.voice else set())
    missing = [f"--{name}" for name in ("transcript", "voice") if task in NEEDS_SPEECH and name not in given]
    if task in NEEDS_VIDEO and job.source is None:
        missing.insert(0, "a clip")
    if task == "video_to_audio" and job.source is None and "prompt" not in given:
        missing.append("--prompt")
    if missing:
        raise InputError(f"{where} the task {task} needs {' and '.join(missing)}.")


def _check_unique(jobs: list[Job]) -> None:
    """Refuse jobs that would overwrite each other's files, or that a manifest could not tell apart."""
    taken: dict[str, Job] = {}
    for job in jobs:
        for target in [f"name {job.name}", *(target for kind in job.kinds for target in job.targets(kind))]:
            other = taken.setdefault(target, job)
            if other is not job:
                raise InputError(
                    f"{printable(str(other.source or other.name))} and {printable(str(job.source or job.name))} would "
                    f"both become {printable(target.removeprefix('name '))}; rename one, or give each a `name` in a "
                    "list (.jsonl or .csv)."
                )


def _check_sources(jobs: list[Job], folder: Path, manifest: Path, inputs: Iterable[str]) -> None:
    """Refuse to write over what is read."""
    read = [path for job in jobs for path in (job.source, job.voice) if path is not None]
    read += [Path(text) for text in inputs if Path(text).suffix.lower() in LIST_EXTENSIONS]
    known = {_identity(path): path for path in read if path.exists()}
    written = [manifest, *(folder / target for job in jobs for kind in job.kinds for target in job.targets(kind))]
    for target in written:
        if target.exists() and _identity(target) in known:
            raise InputError(
                f"{printable(str(target))} would be written over {printable(str(known[_identity(target)]))}, which is "
                "read; pass another --output."
            )


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _is_same(path: Path, other: Path) -> bool:
    return other.exists() and path.exists() and path.samefile(other)
