# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The manifest of `deepaudio generate`: one line of JSON for each finished clip, by which a call can go on.

A clip is finished when its line is on the disk, which is after its files are. Lines say nothing of time and place, so
that two calls for the same make the same manifest.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import InputError
from ..media.source import printable
from .generate_jobs import Job
from .hashing import hash_file


class Manifest:
    """The manifest at a path, and what it says so far.

    Args:
        path (`Path`): Of the file.
        folder (`Path`): That its file names start from.
    """

    def __init__(self, path: Path, folder: Path):
        self.path, self.folder = path, folder
        self.records: dict[str, dict[str, Any]] = {}

    @property
    def work_folder(self) -> Path:
        """Where files lie until they are finished, beside their place."""
        return self.path.with_name(f".{self.path.name}.partial")

    def begin(self, jobs: list[Job], *, resume: bool, overwrite: bool) -> None:
        """Read what was made before, or begin anew.

        Args:
            jobs (`list[Job]`): What is to be made.
            resume (`bool`): Whether something may have been made before.
            overwrite (`bool`): Whether it may be replaced. What was made stays known until it is.

        Raises:
            InputError: There are files that were not to be expected, or the manifest is no such manifest.
        """
        if self.path.exists():
            if not resume and not overwrite:
                raise InputError(
                    f"{printable(str(self.path))} says that something was made here before; pass --resume to go on "
                    "with it, --overwrite to make it anew, or another --output."
                )
            self.records = {record["name"]: record for record in self._read()}
        elif not overwrite:
            targets = (self.folder / target for job in jobs for kind in job.kinds for target in job.targets(kind))
            if (there := next((target for target in targets if target.exists()), None)) is not None:
                raise InputError(
                    f"{printable(str(there))} exists already; pass --overwrite to replace it, or another --output."
                )
        # Without a line that a kill tore.
        self._rewrite(self.records.values())

    def _read(self) -> Iterator[dict[str, Any]]:
        # `splitlines` would also divide at characters inside strings.
        *lines, _torn = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                _ = record["name"], record["request"], record["files"]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"Line {number} of {printable(str(self.path))} is not of a manifest; pass another --output."
                ) from error
            yield record

    def is_finished(self, job: Job, request: dict[str, Any]) -> bool:
        """Whether a `job` that the manifest knows has all its files.

        Args:
            job ([`Job`]): The clip.
            request (`dict`): All that its result depends on.

        Raises:
            InputError: They were made for another request, or are not the ones that were made.
        """
        record = self.records[job.name]
        if different := [key for key in request if request[key] != record["request"].get(key)]:
            raise InputError(
                f"{printable(job.name)} was made with another {', '.join(different)} than this call asks for; pass "
                "what was passed then, another --output, or --overwrite to make everything anew."
            )
        for name, digest in record["files"].items():
            path = self.folder / name
            if not path.exists():
                return False
            if hash_file(path) != digest:
                raise InputError(
                    f"{printable(str(path))} was changed since it was made; move it away, and it will be made again."
                )
        return True

    def add(self, record: dict[str, Any]) -> None:
        """Write down that a clip is finished. Its files have to be on the disk."""
        self.records[record["name"]] = record
        with open(self.path, "ab") as file:
            file.write(_line_of(record))
            file.flush()
            os.fsync(file.fileno())

    def finish(self, jobs: list[Job]) -> None:
        """Bring the lines into the order of the jobs, which differs from that of the work after failures."""
        names = {job.name for job in jobs}
        earlier = [record for name, record in self.records.items() if name not in names]
        self._rewrite([*earlier, *(self.records[job.name] for job in jobs if job.name in self.records)])

    def _rewrite(self, records: Iterable[dict[str, Any]]) -> None:
        partial = self.work_folder / self.path.name
        with open(partial, "wb") as file:
            file.writelines(map(_line_of, records))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.path)

    @contextmanager
    def open_work_folder(self) -> Iterator[None]:
        """Have the work folder to oneself, without what a killed call left there; it vanishes at the end.

        Raises:
            InputError: Another call is at work on the same manifest.
        """
        lock_path = self.path.with_name(f".{self.path.name}.lock")
        lock = FileLock(lock_path, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"Another `deepaudio generate` is at work on {printable(str(self.path))}; wait for it, or pass "
                "another --output."
            ) from error
        try:
            if self.work_folder.exists():
                shutil.rmtree(self.work_folder)
            self.work_folder.mkdir()
            yield
        finally:
            shutil.rmtree(self.work_folder, ignore_errors=True)
            lock_path.unlink(missing_ok=True)
            lock.release()


def _line_of(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"
