# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs of the original code, kept in `tests/fixtures/`; its state dicts have the prefix `w.`."""

from pathlib import Path

import torch
from safetensors.torch import load_file


FIXTURES = Path(__file__).parent / "fixtures"


def load_golden(name: str) -> dict[str, torch.Tensor]:
    """All tensors of `tests/fixtures/<name>.safetensors`, weights stored as float16 widened to float32."""
    tensors = load_file(FIXTURES / f"{name}.safetensors")
    return {key: value.float() if value.dtype == torch.float16 else value for key, value in tensors.items()}


def weights_of(golden: dict[str, torch.Tensor], prefix: str = "w.") -> dict[str, torch.Tensor]:
    """The original state dict inside a fixture, without its prefix."""
    return {key.removeprefix(prefix): value for key, value in golden.items() if key.startswith(prefix)}


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest absolute difference over the largest absolute expected value."""
    assert actual.shape == expected.shape, f"{tuple(actual.shape)} instead of {tuple(expected.shape)}"
    return ((actual - expected).abs().max() / expected.abs().max()).item()
