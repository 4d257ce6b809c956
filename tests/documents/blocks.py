# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What stands in the documents to be copied: fenced blocks, and commands within the text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "checkpoints/*/README.md", "benchmarks/README.md", "training_scripts/*.md")
    for path in ROOT.glob(pattern)
)
PROGRAMS = ("accelerate", "apt-get", "deepaudio", "git", "hf", "make", "pip", "python", "torchrun")
# Those whose names, followed by something, are commands within the text too.
INLINE_PROGRAMS = ("apt-get", "deepaudio", "make", "pip", "python")

# A fence, indented when it is part of a list, the name of a language, and everything up to the same fence.
_FENCED = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^]]+\]: (\S+)$", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`((?:" + "|".join(INLINE_PROGRAMS) + r") [^`]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        path: The document.
        line: Where the block begins in it, counted from 1.
        language: What stands behind the fence; empty for plain text.
        text: What stands between the fences, without their indentation.
    """

    path: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.path.relative_to(ROOT).as_posix()}:{self.line}"


def fenced_blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    document = path.read_text(encoding="utf-8")
    for match in _FENCED.finditer(document):
        line = document.count("\n", 0, match.start()) + 1
        text = re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        yield Block(path, line, match["language"], text)


def inline_commands(path: Path) -> list[str]:
    """Code within the text of a document that begins with one of [`INLINE_PROGRAMS`] and says with what."""
    text = _FENCED.sub("", path.read_text(encoding="utf-8"))
    return [" ".join(command.split()) for command in _INLINE.findall(text)]


def links(path: Path) -> list[str]:
    """What the links of a document lead to, apart from addresses."""
    text = _FENCED.sub("", path.read_text(encoding="utf-8"))
    targets = [inline or reference for inline, reference in _LINK.findall(text)]
    return [target for target in targets if not target.startswith(("http:", "https:", "mailto:"))]


def anchors(path: Path) -> set[str]:
    """The names by which GitHub links the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
