# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the conversion of MMAudio's velocity network refuses; its parity is tested with the model."""

import pytest
import torch

from deepaudio_diffusers.conversion.mmaudio import convert_mmaudio_transformer
from deepaudio_diffusers.errors import CheckpointError
from tests.golden import load_golden, weights_of


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise.w3.weight": torch.zeros(1)}, r": 1 unknown \(surprise\.w3\.weight\)"),
        (
            {"global_cond_mlp.w1.weight": None},
            r"1 missing \(pooled_ff\.proj_in\.weight\); 1 unknown \(pooled_ff\.w3\.weight\)",
        ),
        ({"global_cond_mlp.w3.weight": torch.zeros(3)}, r"'global_cond_mlp\.w1\.weight' but no '\.w3\.weight' of"),
        ({"proj_out.bias": torch.zeros(8)}, r"has two tensors for 'proj_out\.bias'"),
        ({"t_embed.mlp.0.weight": torch.zeros(3)}, r"'t_embed\.mlp\.0\.weight' has shape \(3,\); .* 2 axes"),
    ],
    ids=["value alone", "gate missing", "value of another shape", "twice", "axes"],
)
def test_strict_on_both_sides(change, message):
    original = weights_of(load_golden("mmaudio/mmdit_tiny_v1")) | change
    with pytest.raises(CheckpointError, match=message):
        convert_mmaudio_transformer({key: value for key, value in original.items() if value is not None})
