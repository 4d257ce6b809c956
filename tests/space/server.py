# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Running the app as a Space runs it: from its own folder, in a process of its own."""

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx


ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "examples" / "assets"
CLIP, VOICE = ASSETS / "puppet-and-drums.mp4", ASSETS / "voice.wav"
VOICE_TEXT = "throw white with paper five later"
START_TIME_IN_S = 240
KEEP_IN_S = 4
MAX_UPLOAD_MB = 2
MAX_CLIP_SECONDS = 6


class Server:
    """An app that is running. `log` has what it printed so far."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.log: list[str] = []
        self.address = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.log.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def wait(self) -> None:
        while (line := self._lines.get(timeout=START_TIME_IN_S)) is not None:
            if "Running on local URL:" in line:
                self.address = line.split()[-1]
                return
        raise RuntimeError("".join(self.log))

    def visitor(self) -> httpx.Client:
        """Somebody who opened the page, and whose cookie is kept."""
        visitor = httpx.Client(base_url=self.address, timeout=60)
        visitor.get("/").raise_for_status()
        return visitor


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Server]:
    """The app in `folder`, which has to be a Space put together by `make space`."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "passive"}
    environment.pop("PYTHONPATH", None)
    limits = ["--max-upload-mb", str(MAX_UPLOAD_MB)]
    limits += ["--max-clip-seconds", str(MAX_CLIP_SECONDS), "--device", "cpu", "--port", str(_free_port())]
    process = subprocess.Popen(
        [sys.executable, "spaces_app.py", *limits, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Server(process)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def upload(visitor: httpx.Client, name: str, content: bytes) -> httpx.Response:
    """Upload a file as the page does."""
    return visitor.post("/gradio_api/upload", files={"files": (name, content)})


def address_of(path: str) -> str:
    """Where a file of the app is read."""
    return f"/gradio_api/file={quote(path)}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
