# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Instructions made from templates: endless ones to train on, and fixed files to measure with.

`python -m deepaudio_diffusers.instructions.generate` writes the files of the validation and the test split.

`templates/<language>/` has templates of two kinds. In all of them `[a|b]` is a choice and `{slot}` a word of
`words.json`.

- `written/<split>/<task>.txt`: whole instructions, as somebody might put them. A line that starts with `+ ` is an
  addition, a clause that may follow any template of its file.
- Composed: `phrases/<task>.txt` say what is wanted (`do: ` a verb phrase, `thing: ` and the shorter `bare: ` a noun
  phrase, `state: ` what should be the case, `absence: ` what is left out), and `frames.txt`, `contrasts.txt` ("not
  this but that") and `pairs.txt` (sound and voice) say how it is asked for.

The words are common to all splits, except sentences to be spoken, topics, openings and closings. The templates are
not: a written template is in the folder of its split, a composed one belongs to a split by a hash of itself, so a new
line never moves an old one. Phrases without a slot are words, too ("lip sync", "TTS"), and are trained on.

`templates/<language>/training/` has more phrases, frames, words and written instructions, for training alone: adding
to them leaves the validation and the test split as they are.
"""

import hashlib
import itertools
import json
import math
import random
import re
from collections.abc import Iterator, Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..tasks import TASKS
from . import ADVERSARIAL, LANGUAGES, SPLITS, Instruction, load_instructions


TEMPLATES = Path(__file__).with_name("templates")

_PRECEDENCE = ("test", "validation", "train")
# Out of 100 templates; the rest is for training.
_PERCENT = {"test": 20, "validation": 16}
# Of each language and task in the files of the validation and test split.
_NUM_COMPOSED = {"test": 150, "validation": 100}
# Instructions made from one written template of the validation and test split.
_NUM_OF_WRITTEN = 2
# Of the training instructions.
_SHARE_OF_WRITTEN = 0.35

# Of the composed instructions; as many of those for a soundtrack are pairs. Training has more: they are the hard ones.
_SHARE_OF_CONTRASTS = 0.4
_SHARE_OF_CONTRASTS_IN_TRAINING = 0.65

# The tasks from which those are told apart that a contrast asks for.
_OTHERS = {
    "soundtrack": (),
    "text_to_speech": ("video_to_audio", "video_to_speech"),
    "video_to_audio": ("text_to_speech", "video_to_speech"),
    "video_to_speech": ("text_to_speech", "video_to_audio"),
}
_KINDS = ("do", "thing", "bare", "state", "absence")

_ADDITION_MARK = "+ "
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_UNIT = re.compile(r"\{\w+\}|\S")
_ROLE = re.compile(r"\{((?:sound_|voice_|other_)?(?:" + "|".join(_KINDS) + r"))\}")
_SENTENCE_ENDS = tuple('.!?:"。!?:”')

# Characters for private use that enclose a phrase while an instruction is made: which task it means, asked for or not.
_FIRST_MARK, _END_MARK = 0xE000, "\ue0ff"
_MARK = re.compile("[\ue000-\ue0ff]")


class Span(NamedTuple):
    """
    A phrase within a composed instruction.

    Attributes:
        start (`int`): Its first character.
        end (`int`): The one after its last.
        task (`str`): The task that the phrase means.
        is_wanted (`bool`): Whether the instruction asks for it, and does not only mention it.
    """

    start: int
    end: int
    task: str
    is_wanted: bool


def split_of(key: str) -> str:
    """The split that a template or word belongs to, by a hash of `key`: the same on every machine and forever."""
    rank = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 100
    for split, percent in _PERCENT.items():
        if rank < percent:
            return split
        rank -= percent
    return "train"


def comparable(text: str) -> str:
    """`text` without what makes no difference in meaning: case, punctuation and repeated spaces."""
    return " ".join(re.sub(r"[^\w+{}]+|_", " ", text.casefold()).split())


def name_of(key: str) -> str:
    """A short name for a template."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def forms_of(template: str) -> Iterator[str]:
    """All forms of `template` that its choices allow, with their slots."""
    parts = _CHOICE.split(template)
    for choice in itertools.product(*(part.split("|") if i % 2 else [part] for i, part in enumerate(parts))):
        yield comparable("".join(choice))


def num_forms(template: str) -> int:
    """How many forms [`forms_of`] gives, equal ones counted."""
    return math.prod(choices.count("|") + 1 for choices in _CHOICE.findall(template))


def _read_lines(*path: str) -> list[str]:
    return TEMPLATES.joinpath(*path).read_text(encoding="utf-8").splitlines()


def _read_words(*path: str) -> dict[str, Any]:
    return json.loads(TEMPLATES.joinpath(*path).read_text(encoding="utf-8"))


def _units(form: str, language: str) -> list[str]:
    """Slots, and the words of an English template or the characters of a Chinese one."""
    return comparable(form).split() if language == "en" else _UNIT.findall(comparable(form))


@cache
def _slots_of_words(language: str) -> tuple[dict[tuple[str, ...], str], int]:
    """The slot of each word that all splits have in common, and the number of units of the longest."""
    slots: dict[tuple[str, ...], str] = {}
    for slot, values in _read_words(language, "words.json")["shared"].items():
        for value in values:
            slots.setdefault(tuple(_units(value, language)), f"{{{slot}}}")
    return slots, max(map(len, slots))


@lru_cache(maxsize=100_000)
def skeleton_of(form: str, language: str) -> tuple[str, ...]:
    """`form` of a template with words in their slots' places: the same for "add rain" and for "{add} {noise}"."""
    slots, longest = _slots_of_words(language)
    skeleton, before = _units(form, language), None
    # Words may have words in them.
    while skeleton != before:
        before, skeleton, start = skeleton, [], 0
        while start < len(before):
            for end in range(min(start + longest, len(before)), start, -1):
                slot = slots.get(tuple(before[start:end]))
                if slot is not None or end == start + 1:
                    skeleton.append(slot or before[start])
                    start = end
                    break
    return tuple(skeleton)


def _literal(template: str) -> str:
    """What a template says without its slots."""
    return comparable(_SLOT.sub(" ", template))


def is_word(phrase: str) -> bool:
    """Whether a phrase is a word or a set phrase, which all splits have in common, and no template."""
    return not _SLOT.search(phrase) or not _literal(phrase)


class Grammar:
    """The templates and words of one language in one split.

    Args:
        language (`str`): One of [`LANGUAGES`].
        split (`str`): One of [`SPLITS`].
    """

    share_of_contrasts = _SHARE_OF_CONTRASTS

    def __init__(self, language: str, split: str):
        self.language, self.split = language, split
        words = _read_words(language, "words.json")
        self.words: dict[str, list[str]] = words["shared"] | {
            slot: [value for value in values if split_of(f"{language}/{slot}/{value}") == split]
            for slot, values in words["by_split"].items()
        }
        # The same words may stand in two files: the split that is named first in `_PRECEDENCE` has them.
        earlier = _PRECEDENCE[: _PRECEDENCE.index(split)]
        taken = set().union(*(load_grammar(language, other).skeletons for other in earlier))
        # By task.
        self.written: dict[str, list[str]] = {}
        self.additions: dict[str, list[str]] = {}
        # By task, then by kind.
        self.phrases: dict[str, dict[str, list[str]]] = {}
        for task in TASKS:
            lines = _read_lines(language, "written", split, f"{task}.txt")
            lines = [line for line in lines if taken.isdisjoint(forms_of(line))]
            self.written[task] = [line for line in lines if not line.startswith(_ADDITION_MARK)]
            self.additions[task] = [
                line.removeprefix(_ADDITION_MARK) for line in lines if line not in self.written[task]
            ]
            self.phrases[task] = {kind: [] for kind in _KINDS}
            for line in _read_lines(language, "phrases", f"{task}.txt"):
                kind, phrase = line.split(": ", 1)
                if self._has_phrase(kind, phrase) and (is_word(phrase) or taken.isdisjoint(forms_of(phrase))):
                    self.phrases[task][kind].append(phrase)
        self.frames, self.contrasts, self.pairs = (
            [line for line in _read_lines(language, f"{name}.txt") if self._has(name, line)]
            for name in ("frames", "contrasts", "pairs")
        )

    def _has(self, kind: str, line: str) -> bool:
        # A frame without words of its own belongs to all.
        return not _literal(line) or split_of(f"{self.language}/{kind}/{line}") == self.split

    def _has_phrase(self, kind: str, phrase: str) -> bool:
        if is_word(phrase):
            # Words and set phrases: known to training, and in the other splits only beside a held-out phrase or frame.
            return self.split == "train" or kind in ("bare", "absence")
        return split_of(f"{self.language}/{kind}/{phrase}") == self.split

    @cached_property
    def skeletons(self) -> set[str]:
        """What the templates of this split say, with their slots: for splits to be kept apart."""
        lines = [line for task in TASKS for line in self.written[task]]
        lines += [
            phrase
            for kinds in self.phrases.values()
            for phrases in kinds.values()
            for phrase in phrases
            if not is_word(phrase)
        ]
        return {form for line in lines for form in forms_of(line)}

    def choose(self, template: str, generator: random.Random) -> str:
        """`template` with its choices made."""
        return _CHOICE.sub(lambda match: generator.choice(match[1].split("|")), template)

    def fill(self, template: str, generator: random.Random) -> str:
        """`template` with its choices made and its slots filled."""
        text = self.choose(template, generator)
        # Words may have slots themselves.
        while _SLOT.search(text):
            text = _SLOT.sub(lambda match: generator.choice(self.words[match[1]]), text)
        return " ".join(text.split())

    def compose(self, task: str, generator: random.Random) -> tuple[str, str]:
        """A template for `task`, put together of a frame and phrases, and the names of its parts."""
        frames = self.frames
        if generator.random() < self.share_of_contrasts:
            frames = self.pairs if task == "soundtrack" else self.contrasts
        others = list(_OTHERS[task])
        generator.shuffle(others)
        parts: list[str] = []

        def phrase(match: re.Match[str]) -> str:
            match match[1].split("_"):
                case ["sound", kind]:
                    source = "video_to_audio"
                case ["voice", kind]:
                    source = "video_to_speech"
                case ["other", kind]:
                    # A frame with two others means two different ones where there are two.
                    source = others[0]
                    others.reverse()
                case [kind]:
                    source = task
            phrase, part = self.choose_part(self.phrases[source][kind], generator)
            parts.append(part)
            return self.mark(phrase, source, is_wanted=not match[1].startswith("other_"))

        # Not every task has phrases of every kind in every split.
        frame, part = self.choose_part(frames, generator)
        while not self._can_fill(part, task):
            frame, part = self.choose_part(frames, generator)
        text = _ROLE.sub(phrase, frame)
        return text, "+".join(name_of(each) for each in (part, *parts))

    def choose_part(self, templates: Sequence[str], generator: random.Random) -> tuple[str, str]:
        """One of `templates`, as it is to be used and as it is written."""
        template = generator.choice(templates)
        return template, template

    def mark(self, phrase: str, task: str, is_wanted: bool) -> str:
        """`phrase`, or what [`split_marks`] tells apart from the rest of an instruction."""
        return phrase

    def _can_fill(self, frame: str, task: str) -> bool:
        sources = {"sound": ["video_to_audio"], "voice": ["video_to_speech"], "other": _OTHERS[task]}
        for role in _ROLE.findall(frame):
            owner, _, kind = role.rpartition("_")
            if not all(self.phrases[source][kind] for source in sources.get(owner, [task])):
                return False
        return True

    def dress(self, text: str, task: str, generator: random.Random) -> str:
        """`text`, sometimes with an addition of the task, an opening, a closing, or in a plainer style."""
        if generator.random() < 0.25:
            text = self._join(text, self.fill(generator.choice(self.additions[task]), generator))
        if generator.random() < 0.15:
            opening = generator.choice(self.words["prefix"])
            text = f"{opening} {text}" if self.language == "en" else f"{opening}{text}"
        if generator.random() < 0.15:
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


class TrainingGrammar(Grammar):
    """
    The templates and words of one language to train on, with those that only training has.

    Args:
        language (`str`): One of [`LANGUAGES`].
    """

    share_of_contrasts = _SHARE_OF_CONTRASTS_IN_TRAINING

    def __init__(self, language: str):
        super().__init__(language, "train")
        self.held_out = held_out_skeletons(language)
        for slot, values in _read_words(language, "training", "words.json").items():
            self.words[slot] = self.words.get(slot, []) + values
        for task, kinds in self.phrases.items():
            for line in _read_lines(language, "training", "phrases", f"{task}.txt"):
                kind, phrase = line.split(": ", 1)
                kinds[kind].append(phrase)
            for kind in kinds:
                kinds[kind] = self._free(kinds[kind])
            for line in _read_lines(language, "training", "written", f"{task}.txt"):
                additions = line.startswith(_ADDITION_MARK)
                (self.additions if additions else self.written)[task].append(line.removeprefix(_ADDITION_MARK))
            self.written[task] = self._free(self.written[task])
            self.additions[task] = self._free(self.additions[task])
        self.frames, self.contrasts, self.pairs = (
            self._free(frames + _read_lines(language, "training", f"{name}.txt"))
            for name, frames in (("frames", self.frames), ("contrasts", self.contrasts), ("pairs", self.pairs))
        )

    def _free(self, templates: list[str]) -> list[str]:
        """Those of `templates` with a form that no held-out template has, the oftener the more forms they have."""
        free = [template for template in templates if any(map(self._is_free, forms_of(template)))]
        return [template for template in free for _ in range(1 + num_forms(template).bit_length() // 2)]

    def _is_free(self, form: str) -> bool:
        return is_word(form) or skeleton_of(form, self.language) not in self.held_out

    def choose_part(self, templates: Sequence[str], generator: random.Random) -> tuple[str, str]:
        """One of `templates` in a form that no held-out template has, and as it is written."""
        while True:
            template = generator.choice(templates)
            form = self.choose(template, generator)
            if self._is_free(form):
                return form, template

    def mark(self, phrase: str, task: str, is_wanted: bool) -> str:
        return f"{chr(_FIRST_MARK + 2 * TASKS.index(task) + is_wanted)}{phrase}{_END_MARK}"


def split_marks(text: str) -> tuple[str, list[Span]]:
    """An instruction without the marks of its phrases, and where these are in it."""
    pieces, spans, position, start, begun = _MARK.split(text), [], 0, 0, 0
    for piece, mark in zip(pieces, [*_MARK.findall(text), None], strict=True):
        position += len(piece)
        if mark == _END_MARK:
            task, is_wanted = divmod(begun - _FIRST_MARK, 2)
            spans.append(Span(start, position, TASKS[task], bool(is_wanted)))
        elif mark is not None:
            start, begun = position, ord(mark)
    return "".join(pieces), spans


@cache
def load_grammar(language: str, split: str) -> Grammar:
    """The [`Grammar`] of one language in one split."""
    return TrainingGrammar(language) if split == "train" else Grammar(language, split)


def held_out_skeletons(language: str) -> set[tuple[str, ...]]:
    """What only the templates of the validation and the test split may say, with words in their slots' places."""
    grammars = [load_grammar(language, split) for split in SPLITS if split != "train"]
    forms = set().union(*(grammar.skeletons for grammar in grammars))
    frames = [line for grammar in grammars for line in (*grammar.frames, *grammar.contrasts, *grammar.pairs)]
    forms |= {form for line in frames if _literal(line) for form in forms_of(line)}
    return {skeleton_of(form, language) for form in forms}


@cache
def held_out_texts() -> set[str]:
    """What the fixed files say: a few words may come about in more ways than one."""
    return {
        comparable(each.text) for split in ("validation", "test", ADVERSARIAL) for each in load_instructions(split)
    }


def training_instructions(num: int, seed: int) -> Iterator[Instruction]:
    """Instructions to train on, tasks and languages equally often.

    Args:
        num (`int`): How many.
        seed (`int`): The same seed gives the same instructions.

    Yields:
        `Instruction`: None of them is one that a template of the other splits can say.
    """
    return (instruction for instruction, _ in training_instructions_with_spans(num, seed))


def training_instructions_with_spans(num: int, seed: int) -> Iterator[tuple[Instruction, list[Span]]]:
    """As [`training_instructions`], with the phrases of each, of which written instructions have none."""
    grammars = {language: load_grammar(language, "train") for language in LANGUAGES}
    for i in range(num):
        language = LANGUAGES[i % len(LANGUAGES)]
        task = TASKS[i // len(LANGUAGES) % len(TASKS)]
        grammar, generator = grammars[language], random.Random(f"{seed}/{i}")
        text = None
        while text is None or comparable(text) in held_out_texts():
            template, parts = training_template(grammar, task, generator)
            text, spans = split_marks(grammar.dress(grammar.fill(template, generator), task, generator))
        yield Instruction(text, task, language, parts), spans


def training_template(grammar: TrainingGrammar, task: str, generator: random.Random) -> tuple[str, str]:
    """A template for `task` without choices that is no held-out one, and the names of its parts."""
    while True:
        if generator.random() < _SHARE_OF_WRITTEN:
            template, part = grammar.choose_part(grammar.written[task], generator)
            parts = f"written/{name_of(part)}"
        else:
            template, parts = grammar.compose(task, generator)
            parts = f"composed/{parts}"
        if skeleton_of(template, grammar.language) not in grammar.held_out:
            return template, parts


def held_out_instructions(split: str) -> list[Instruction]:
    """All instructions of the validation or test split, the same at each call.

    Args:
        split (`str`): `"validation"` or `"test"`.

    Returns:
        `list[Instruction]`: By language, task and kind of template.
    """
    result: list[Instruction] = []
    seen: set[str] = set()

    def add(text: str, task: str, language: str, family: str) -> bool:
        is_new = comparable(text) not in seen
        if is_new:
            seen.add(comparable(text))
            result.append(Instruction(text, task, language, family))
        return is_new

    for language, task in itertools.product(LANGUAGES, TASKS):
        grammar = load_grammar(language, split)
        for template in grammar.written[task]:
            # Seeded by the template alone, so that lines can be added elsewhere without changing these.
            generator = random.Random(f"{language}/{task}/{template}")
            # The plain form first, which every template has.
            add(grammar.fill(template, generator), task, language, f"written/{name_of(template)}")
            for _ in range(_NUM_OF_WRITTEN - 1):
                text = grammar.dress(grammar.fill(template, generator), task, generator)
                add(text, task, language, f"written/{name_of(template)}")
        wanted, generator = _NUM_COMPOSED[split], random.Random(f"{split}/{language}/{task}")
        while wanted:
            template, parts = grammar.compose(task, generator)
            text = grammar.dress(grammar.fill(template, generator), task, generator)
            wanted -= add(text, task, language, f"composed/{parts}")
    return result


def main() -> None:
    for split in SPLITS:
        if split == "train":
            continue
        instructions = held_out_instructions(split)
        path = Path(__file__).with_name(f"{split}.jsonl")
        lines = [json.dumps(instruction._asdict(), ensure_ascii=False) + "\n" for instruction in instructions]
        path.write_text("".join(lines), encoding="utf-8")
        print(f"{path.name}: {len(instructions)} instructions, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
