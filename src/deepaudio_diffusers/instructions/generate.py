# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the instruction data set from its templates: `python -m deepaudio_diffusers.instructions.generate`.

A line of `templates/<language>/<label>.txt` is a template, a way of asking for the task that the file is named after:
`[a|b]` is a choice, `{slot}` a value from `lexicon.json`. A line that starts with `+ ` is an addition, a clause that may
follow any template of the file.

Every template, addition, opening, closing and content word (a sound, a place, a sentence to speak, a topic) belongs to
one split for good, by a hash of itself: a split uses only its own, and a new line never moves an old one.
Words that name the task's ingredients (clip, sound effects, actor, transcript, voice, text) are shared by all splits.

The training split gets instructions from a second source, `composed/`, in which what is asked for and how it is asked
for are apart: phrases for each task (`do: ` a verb phrase, `thing: ` a noun phrase, `bare: ` one that can follow "no")
in frames that say nothing about the task, in contrasts ("not this, that") and in pairs that make a soundtrack of a
sound and a voice. None of them, nor any other training instruction, is a form of a template of another split.
"""

import hashlib
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import SPLITS, Instruction


TEMPLATES = Path(__file__).with_name("templates")

# Out of 100 templates.
_PERCENT = {"test": 20, "validation": 16, "train": 64}
# Instructions made from one template at most; short templates without slots have fewer forms.
_INSTRUCTIONS_PER_TEMPLATE = {"train": 12, "validation": 6, "test": 6}

# Composed training instructions for each language and label.
_NUM_COMPOSED = 2000

_ADDITION_MARK = "+ "
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_SENTENCE_ENDS = tuple('.!?:"。!?:”')


def split_of(key: str) -> str:
    """The split that a template or value belongs to, by a hash of `key`: the same on every machine and forever."""
    rank = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 100
    for split, percent in _PERCENT.items():
        if rank < percent:
            return split
        rank -= percent
    raise AssertionError("the percentages do not add up to 100")


def comparable(text: str) -> str:
    """`text` without what makes no difference in meaning: case, punctuation and repeated spaces."""
    return " ".join(re.sub(r"[^\w+]+|_", " ", text.casefold()).split())


def to_pattern(template: str, words: dict[str, list[str]]) -> re.Pattern[str]:
    """Matches the forms of `template`, with slots filled from `words`, whatever their case and punctuation."""

    def literal(text: str) -> str:
        return "".join(re.escape(character) if re.match(r"\w", character) else r"[\W_]*" for character in text.casefold())

    def slots(text: str) -> str:
        parts = _SLOT.split(text)
        for i in range(1, len(parts), 2):
            parts[i] = "(?:" + "|".join(literal(word) for word in words[parts[i]]) + ")"
        return "".join(part if i % 2 else literal(part) for i, part in enumerate(parts))

    parts = _CHOICE.split(template)
    for i, part in enumerate(parts):
        parts[i] = "(?:" + "|".join(slots(choice) for choice in part.split("|")) + ")" if i % 2 else slots(part)
    return re.compile(r"[\W_]*".join(["", *parts, ""]))


class Grammar:
    """The templates and words of one language in one split.

    Args:
        language (`str`): A folder of `templates/`.
        split (`str`): One of [`SPLITS`].
    """

    def __init__(self, language: str, split: str):
        self.language = language
        lexicon = json.loads((TEMPLATES / language / "lexicon.json").read_text(encoding="utf-8"))
        self.words: dict[str, list[str]] = dict(lexicon["shared"])
        for slot, values in lexicon["by_split"].items():
            self.words[slot] = [value for value in values if split_of(f"{language}/{slot}/{value}") == split]
        # By label; templates by name of their family, which does not change when lines move.
        self.templates: dict[str, dict[str, str]] = {}
        self.additions: dict[str, list[str]] = {}
        for path in sorted((TEMPLATES / language).glob("*.txt")):
            label = path.stem
            self.templates[label], self.additions[label] = {}, []
            for line in path.read_text(encoding="utf-8").splitlines():
                key = f"{language}/{label}/{line}"
                if split_of(key) != split:
                    continue
                if line.startswith(_ADDITION_MARK):
                    self.additions[label].append(line.removeprefix(_ADDITION_MARK))
                else:
                    name = hashlib.sha256(key.encode()).hexdigest()[:8]
                    self.templates[label][f"{language}/{label}/{name}"] = line

    def fill(self, template: str, generator: random.Random) -> str:
        """One form of `template`, with its choices made and its slots filled."""
        text = _CHOICE.sub(lambda match: generator.choice(match[1].split("|")), template)
        text = _SLOT.sub(lambda match: generator.choice(self.words[match[1]]), text)
        return " ".join(text.split())

    def compose(self, label: str, template: str, generator: random.Random) -> str:
        """One instruction from `template`, sometimes with an addition, an opening, a closing and a plainer style."""
        text = self.fill(template, generator)
        if generator.random() < 0.3:
            text = self._join(text, self.fill(generator.choice(self.additions[label]), generator))
        if generator.random() < 0.15:
            separator = " " if self.language == "en" else ""
            text = f"{generator.choice(self.words['prefix'])}{separator}{text}"
        if generator.random() < 0.1:
            text = self._join(text, generator.choice(self.words["suffix"]))
        return self._restyle(text, generator)

    def _join(self, first: str, second: str) -> str:
        if self.language == "en":
            return f"{first if first.endswith(_SENTENCE_ENDS) else f'{first}.'} {second}"
        return f"{first if first.endswith(_SENTENCE_ENDS) else f'{first}。'}{second}"

    def _restyle(self, text: str, generator: random.Random) -> str:
        style = generator.random()
        if style < 0.6:
            return text
        if self.language == "zh":
            # Without the final stop; with half-width punctuation; with spaces in place of punctuation.
            if style < 0.75:
                return text.rstrip("。!")
            if style < 0.9:
                return text.translate(str.maketrans(",。!?:“”", ',.!?:""'))
            return re.sub("[,。!:]", " ", text).strip()
        if style < 0.75:
            return text.lower()
        if style < 0.85:
            return text.rstrip(".!")
        if style < 0.95:
            capitalised = text[0].upper() + text[1:]
            return capitalised if text.endswith(_SENTENCE_ENDS) else f"{capitalised}."
        return text.upper()


def generate_split(split: str, taken: dict[str, str]) -> list[Instruction]:
    """All instructions of a split, the same at each call.

    Args:
        split (`str`): One of [`SPLITS`].
        taken (`dict[str, str]`):
            Comparable form of each instruction that exists already, to its family. What is in it is not made again;
            what is made is put into it.

    Returns:
        `list[Instruction]`: By language, label, template.
    """
    instructions = []
    for language in sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir()):
        grammar = Grammar(language, split)
        for label, templates in grammar.templates.items():
            for family, template in templates.items():
                # Seeded by the template alone, so that lines can be added elsewhere without changing these.
                generator = random.Random(f"{language}/{label}/{template}")
                # The plain form first, which every template has.
                candidates = [grammar.fill(template, generator)]
                wanted = _INSTRUCTIONS_PER_TEMPLATE[split]
                candidates += [grammar.compose(label, template, generator) for _ in range(3 * wanted)]
                for text in candidates:
                    if comparable(text) not in taken and wanted:
                        taken[comparable(text)] = family
                        instructions.append(Instruction(text, label, language, family))
                        wanted -= 1
    return instructions


def to_jsonl(rows: Sequence[Instruction | dict[str, Any]]) -> str:
    """The rows as JSON, one a line."""
    return "".join(
        json.dumps(row._asdict() if isinstance(row, Instruction) else row, ensure_ascii=False) + "\n" for row in rows
    )


def main() -> None:
    # The test split first: where two templates can give the same words, the later split goes without them.
    taken: dict[str, str] = {}
    for split in reversed(SPLITS):
        instructions = generate_split(split, taken)
        path = Path(__file__).with_name(f"{split}.jsonl")
        path.write_text(to_jsonl(instructions), encoding="utf-8")
        families = {instruction.family for instruction in instructions}
        print(f"{path.name}: {len(instructions)} instructions from {len(families)} templates")


if __name__ == "__main__":
    main()
