# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The foley of the world: one module for each class of objects, whose sight determines its sound.

Each has `play(stage)`, which draws the object and returns its sound, and `TEMPLATES`, its prompts with slots. A prompt
fills all its slots with attributes and choices of the action, and has a slot for each choice.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from . import bell, block, bounce, drum, fan, hammer, metronome, pluck, rain, saw, siren, typing
from .stage import Action, Stage


_MODULES = {
    "bell": bell,
    "block": block,
    "bounce": bounce,
    "drum": drum,
    "fan": fan,
    "hammer": hammer,
    "metronome": metronome,
    "pluck": pluck,
    "rain": rain,
    "saw": saw,
    "siren": siren,
    "typing": typing,
}
FOLEY_CLASSES = tuple(_MODULES)
FOLEY: Mapping[str, Callable[[Stage], Action]] = MappingProxyType({name: m.play for name, m in _MODULES.items()})
TEMPLATES: Mapping[str, tuple[str, ...]] = MappingProxyType({name: m.TEMPLATES for name, m in _MODULES.items()})
_SLOT = re.compile(r"\{(\w+)\}")

__all__ = ["FOLEY", "FOLEY_CLASSES", "TEMPLATES", "Action", "Stage", "describe"]


def describe(rng: np.random.Generator, label: str, action: Action) -> str:
    """A prompt for what an object of class `label` did."""
    fitting = []
    for template in TEMPLATES[label]:
        slots = set(_SLOT.findall(template))
        if action.choices.keys() <= slots <= action.choices.keys() | action.attributes.keys():
            fitting.append(template)
    prompt = fitting[rng.integers(len(fitting))].format(**action.attributes, **action.choices)
    return re.sub(r"\ba (?=[aeiou])", "an ", prompt)
