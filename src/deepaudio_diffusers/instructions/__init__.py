# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Instructions in English and Chinese with the task that each asks for: what the gating network learns from.

The data set is described in `README.md` beside this file, its data card.
"""

import json
from importlib import resources
from typing import NamedTuple

from ..errors import InputError


# The splits that share no template with one another.
SPLITS = ("train", "validation", "test")
LANGUAGES = ("en", "zh")
# Written by hand to mislead; never trained on.
ADVERSARIAL = "adversarial"


class Instruction(NamedTuple):
    """
    An instruction as a user may type it.

    Attributes:
        text (`str`): The instruction.
        label (`str`, *optional*):
            The task it asks for: `"video_to_audio"`, `"video_to_speech"`, `"text_to_speech"` or `"soundtrack"`. `None`
            if it asks for none of them, in the adversarial set alone.
        language (`str`): `"en"`, `"zh"`; in the adversarial set also `"mixed"`, `"other"` and `"none"`.
        family (`str`): The template it was made from, as language/label/name; `adversarial/<kind>` if by hand.
    """

    text: str
    label: str | None
    language: str
    family: str


def load_instructions(split: str) -> list[Instruction]:
    """Read a part of the data set.

    Args:
        split (`str`): `"train"`, `"validation"`, `"test"` or `"adversarial"`.

    Returns:
        `list[Instruction]`: In the order of the file: by language, label and template.

    Raises:
        InputError: If there is no such split.
    """
    if split not in (*SPLITS, ADVERSARIAL):
        raise InputError(f"`split` must be one of {(*SPLITS, ADVERSARIAL)}, got {split!r}.")
    text = resources.files(__name__).joinpath(f"{split}.jsonl").read_text(encoding="utf-8")
    return [Instruction(**json.loads(line)) for line in text.splitlines()]
