# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What all conversions share: reading shapes, collecting tensors, and building a model with no key left over."""

from collections.abc import Callable
from typing import TypeVar

import torch
from accelerate import init_empty_weights

from ..errors import CheckpointError


ModelT = TypeVar("ModelT", bound=torch.nn.Module)


def shape_of(state_dict: dict[str, torch.Tensor], key: str, num_axes: int, network: str) -> torch.Size:
    """The shape of a tensor that tells something of the configuration of `network`.

    Raises:
        CheckpointError: When the tensor is missing or has not `num_axes` axes.
    """
    if key not in state_dict:
        raise CheckpointError(f"Not a checkpoint of {network}: it has no {key!r}.")
    shape = state_dict[key].shape
    if len(shape) != num_axes:
        raise CheckpointError(
            f"Not a checkpoint of {network}: {key!r} has shape {tuple(shape)}; a tensor with {num_axes} axes is "
            "expected."
        )
    return shape


def add_once(state_dict: dict[str, torch.Tensor], key: str, tensor: torch.Tensor) -> None:
    """Add a tensor to a state dict.

    Raises:
        CheckpointError: When `key` is taken: two tensors of the original have become one.
    """
    if key in state_dict:
        raise CheckpointError(
            f"The checkpoint has two tensors for {key!r}. Check that it is not made of two versions of a network."
        )
    state_dict[key] = tensor


def add_renamed(state_dict: dict[str, torch.Tensor], key: str, tensor: torch.Tensor) -> None:
    """Add a tensor, or the queries, keys and values that it consists of where `key` has `{}` in the place of a letter.

    Raises:
        CheckpointError: See [`add_once`].
    """
    if "{}" not in key:
        add_once(state_dict, key, tensor)
        return
    for letter, part in zip("qkv", tensor.tensor_split(3), strict=True):
        add_once(state_dict, key.format(letter), part)


def count_layers(state_dict: dict[str, torch.Tensor], prefix: str) -> int:
    """How many numbers follow `prefix`, which ends with a dot, in the keys of a state dict."""
    return len({key.removeprefix(prefix).split(".")[0] for key in state_dict if key.startswith(prefix)})


def build_model(
    make: Callable[[], ModelT], state_dict: dict[str, torch.Tensor], computed: tuple[str, ...] = ()
) -> ModelT:
    """Make a model with the given tensors, and put it into evaluation mode.

    The weights are never allocated twice: the model is born on the meta device and takes the given tensors. Tensors
    that a model computes itself and does not store are computed as usual.

    Args:
        make (`Callable[[], torch.nn.Module]`): Makes the model from its configuration.
        state_dict (`dict[str, torch.Tensor]`): One tensor for every persistent tensor of the model but the `computed`.
        computed (`tuple[str, ...]`, defaults to `()`): First parts of the names of tensors that the model stores and
            computes itself all the same.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape. The message names up to five of them.
    """
    with init_empty_weights(include_buffers=False):
        model = make()
    own = {key: tensor for key, tensor in model.state_dict().items() if key.startswith(computed)}
    expected = {key: tensor for key, tensor in model.state_dict().items() if key not in own}
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
    model.load_state_dict(state_dict | own, strict=True, assign=True)
    return model.eval()
