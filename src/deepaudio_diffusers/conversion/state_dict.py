# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The last step of every conversion: a state dict becomes a model, with no key left over on either side."""

from typing import Any, TypeVar

import torch
from accelerate import init_empty_weights

from ..errors import CheckpointError


ModelT = TypeVar("ModelT", bound=torch.nn.Module)


def load_strictly(model: ModelT, state_dict: dict[str, torch.Tensor]) -> ModelT:
    """Give `model` the tensors of `state_dict` without copying them, and put it into evaluation mode.

    Args:
        model (`torch.nn.Module`): Any model, on any device; the meta device saves memory.
        state_dict (`dict[str, torch.Tensor]`): One tensor for every persistent tensor of the model.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape. The message names up to five of them.
    """
    expected = model.state_dict()
    problems = {
        "missing": sorted(expected.keys() - state_dict.keys()),
        "unknown": sorted(state_dict.keys() - expected.keys()),
        "of another shape": [
            f"{key} {tuple(state_dict[key].shape)} instead of {tuple(expected[key].shape)}"
            for key in sorted(expected.keys() & state_dict.keys())
            if state_dict[key].shape != expected[key].shape
        ],
    }
    found = [
        f"{len(keys)} {kind} ({', '.join(keys[:5])}{', ...' if len(keys) > 5 else ''})"
        for kind, keys in problems.items()
        if keys
    ]
    if found:
        raise CheckpointError(
            f"The checkpoint does not fit {type(model).__name__}: {'; '.join(found)}. "
            "Check that the file belongs to this model and is complete."
        )
    model.load_state_dict(state_dict, strict=True, assign=True)
    return model.eval()


def build_model(model_class: type[ModelT], config: dict[str, Any], state_dict: dict[str, torch.Tensor]) -> ModelT:
    """Build a diffusers model from its configuration and load `state_dict` into it; see `load_strictly`.

    The weights are never allocated twice: the model is born on the meta device and takes the given tensors. Tensors
    that a model computes itself (non-persistent buffers) are computed as usual.
    """
    with init_empty_weights(include_buffers=False):
        model = model_class.from_config(config)
    return load_strictly(model, state_dict)
