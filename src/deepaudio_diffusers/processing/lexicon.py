# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lexicon files: one line for each word, with the word, a tabulator, and its phones with spaces between them."""

from pathlib import Path

from ..errors import CheckpointError


def read_lexicon(path: str | Path) -> dict[str, list[str]]:
    """Phones of each word, in the order of the file. A later line for the same word counts.

    Raises:
        CheckpointError: If the file is no UTF-8 text, or a line is neither empty nor of this form.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{path.name} is no UTF-8 text; pass a lexicon with a word and its phones a line."
        ) from error
    lexicon = {}
    for number, line in enumerate(lines, 1):
        word, _, phones = line.partition("\t")
        if word and phones.strip():
            lexicon[word] = phones.split()
        elif line.strip():
            raise CheckpointError(
                f"Line {number} of {path.name} is {line!r}; expected a word, a tabulator, and its phones with spaces "
                "between them."
            )
    return lexicon


def write_lexicon(path: str | Path, lexicon: dict[str, list[str]]) -> None:
    """Write a lexicon in its order, with the same bytes on every system."""
    lines = (f"{word}\t{' '.join(phones)}\n" for word, phones in lexicon.items())
    Path(path).write_bytes("".join(lines).encode())
