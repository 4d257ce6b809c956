# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Content hashes, by which a manifest tells what was made of what."""

import hashlib
from pathlib import Path

from ..errors import UnreadableMediaError
from ..media.source import printable


HASHED_BYTES = 2**20


def hash_file(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        UnreadableMediaError: There is no such file, or it is a folder, device or pipe.
        OSError: It cannot be read.
    """
    if not path.is_file():
        raise UnreadableMediaError(f"{printable(path.name)} does not exist or is not a file; check the path.")
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(HASHED_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_model(folder: Path) -> str:
    """SHA-256 of the names and contents of all that a pipeline folder is loaded from; its model card is not."""
    paths = [folder / "model_index.json", *folder.glob("*/**/*")]
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file():
            digest.update(f"{hash_file(path)} {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()
