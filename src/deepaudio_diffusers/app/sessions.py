# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The files of the visitors: a folder for each, which nobody else can read and which vanishes after they have left."""

import hashlib
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import LimitExceededError


logger = logging.getLogger(__name__)

SWEEP_EVERY_IN_S = 5.0


@dataclass
class _Presence:
    """How many requests of a visitor are open, and when one last began or ended."""

    num_open: int = 0
    last_seen: float = 0.0


class Sessions:
    """A folder for each visitor, named after a hash of the secret in the visitor's cookie.

    Whoever does not know the secret can neither name the folder nor read what lies in it. A visitor is present while a
    request is open; the page and `gradio_client` keep one open all the time. The folder is deleted some time after
    the last one has ended.

    Args:
        root (`Path`): Where the folders are. What lies in it before the first visitor comes is everybody's.
        keep_in_s (`float`): How long files outlast the presence of their visitor; a page that is loaded again, or a
            connection that breaks for a moment, costs nobody anything.
        max_bytes (`int`): How much the files of one visitor may take; the oldest make room for new ones.
        min_free_bytes (`int`): Nothing more is taken in when the disk has less room than this.
    """

    def __init__(
        self, root: Path, keep_in_s: float = 60.0, max_bytes: int = 2**30, min_free_bytes: int = 2 * 2**30
    ) -> None:
        self.root = root.resolve()
        self.keep_in_s = keep_in_s
        self.max_bytes = max_bytes
        self.min_free_bytes = min_free_bytes
        self._public: frozenset[Path] = frozenset()
        self._visitors: dict[str, _Presence] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def publish(self) -> None:
        """Let everybody read what is there now: the files of the examples."""
        self._public = frozenset(path.resolve() for path in self.root.rglob("*") if path.is_file())

    def folder(self, secret: str) -> Path:
        """The folder of a visitor, whether it exists or not."""
        return self.root / hashlib.sha256(secret.encode()).hexdigest()[:32]

    def new_folder(self, secret: str) -> Path:
        """A new folder inside that of a visitor, for one upload or one take.

        Raises:
            LimitExceededError: The disk is full.
        """
        if shutil.disk_usage(self.root).free < self.min_free_bytes:
            raise LimitExceededError("The server has no room for more files at the moment; try again later.")
        own = self.folder(secret)
        self._make_room(own)
        new = own / secrets.token_hex(8)
        new.mkdir(parents=True)
        return new

    def may_read(self, secret: str, path: str) -> bool:
        """Whether a file is the visitor's own or everybody's. Links, `..` and relative names lead nowhere else."""
        try:
            resolved = Path(path).resolve()
            is_file = Path(path).is_absolute() and resolved.is_file()
        except (OSError, ValueError):
            # What no file can be called.
            return False
        if not is_file:
            return False
        return resolved in self._public or resolved.is_relative_to(self.folder(secret))

    @contextmanager
    def present(self, secret: str) -> Iterator[None]:
        """The visitor is there as long as this lasts."""
        self._count(secret, 1)
        try:
            yield
        finally:
            self._count(secret, -1)

    def sweep(self) -> None:
        """Delete the folders of those who have left."""
        now = time.monotonic()
        with self._lock:
            gone = [
                secret
                for secret, presence in self._visitors.items()
                if presence.num_open == 0 and now - presence.last_seen >= self.keep_in_s
            ]
            for secret in gone:
                del self._visitors[secret]
                shutil.rmtree(self.folder(secret), ignore_errors=True)

    def start_sweeping(self) -> None:
        """Sweep every few seconds until [`~Sessions.close`]."""
        threading.Thread(target=self._sweep_on, name="sessions", daemon=True).start()

    def close(self) -> None:
        """Delete everything."""
        self._closing.set()
        shutil.rmtree(self.root, ignore_errors=True)

    def _sweep_on(self) -> None:
        while not self._closing.wait(min(SWEEP_EVERY_IN_S, max(0.1, self.keep_in_s / 2))):
            self.sweep()

    def _count(self, secret: str, change: int) -> None:
        with self._lock:
            presence = self._visitors.setdefault(secret, _Presence())
            presence.num_open += change
            presence.last_seen = time.monotonic()

    def _make_room(self, own: Path) -> None:
        parts = sorted(own.iterdir(), key=lambda part: part.stat().st_mtime) if own.is_dir() else []
        sizes = [sum(path.stat().st_size for path in part.rglob("*") if path.is_file()) for part in parts]
        while parts and sum(sizes) > self.max_bytes:
            logger.info("A visitor's oldest files made room for new ones.")
            shutil.rmtree(parts.pop(0), ignore_errors=True)
            sizes.pop(0)
