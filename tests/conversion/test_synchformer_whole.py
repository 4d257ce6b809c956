# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Conversion of the whole of Synchformer."""

import re

import pytest
import torch

from deepaudio_diffusers import Synchformer
from deepaudio_diffusers.conversion.synchformer_whole import convert_whole_synchformer, infer_whole_synchformer_config
from deepaudio_diffusers.errors import CheckpointError
from tests.golden import load_golden, weights_of


@pytest.fixture
def original():
    return weights_of(load_golden("synchformer/whole_tiny"))


def published_shapes(tiny: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The published state dict on the meta device: that of the fixture, 16 channels -> 768, 2 layers -> 12 and 3."""
    shapes = {}
    for key, tensor in tiny.items():
        # Patches are 16 pixels wide in both.
        num_scaled = 1 if "patch_embed" in key else tensor.ndim
        scaled = [48 * size if size % 16 == 0 else size for size in tensor.shape[:num_scaled]]
        shape = [*scaled, *tensor.shape[num_scaled:]]
        layer = re.search(r"\.(blocks|layer)\.(\d+)\.", key)
        if layer is None:
            shapes[key] = torch.empty(shape, device="meta")
        elif layer[2] == "0":
            for i in range(3 if key.startswith("transformer.") else 12):
                name = key.replace(layer[0], f".{layer[1]}.{i}.")
                shapes[name] = torch.empty(shape, device="meta")
    return shapes


def test_published_checkpoint(original):
    shapes = published_shapes(original)
    config = infer_whole_synchformer_config(shapes)
    defaults = {key: value for key, value in Synchformer.from_config({}).config.items() if not key.startswith("_")}
    assert config.items() <= defaults.items()
    model = convert_whole_synchformer(shapes)
    assert not model.training
    # All of the original's but the 590 592 of the projection of single frames that is never applied.
    assert sum(parameter.numel() for parameter in model.parameters()) == 236_869_653
    assert sum(tensor.numel() for tensor in shapes.values()) == 236_869_653 + 590_592


def test_a_single_file_is_read(original, tmp_path):
    path = tmp_path / "synchformer_state_dict.pth"
    torch.save(original, path)
    heads = {"num_attention_heads": 4, "num_sync_heads": 2}
    loaded = Synchformer.from_single_file(str(path), original_config=heads)
    expected = convert_whole_synchformer(original, **heads)
    assert dict(loaded.config) == dict(expected.config)
    assert loaded.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"afeat_extractor.ast.layernorm.bias": None}, r"1 missing \(audio_encoder\.norm_out\.bias\)"),
        ({"transformer.blocks.0.surprise": torch.zeros(3)}, r"1 unknown \(comparison\.layers\.0\.surprise\)"),
        ({"vfeat_extractor.blocks.1.mlp.fc2.bias": None}, r"missing \(video_encoder\.transformer_blocks\.1\.ff"),
        ({"vproj.bias": torch.zeros(3)}, r"comparison\.video_proj\.bias \(3,\) instead of \(16,\)"),
        ({"transformer.off_head.weight": None}, r"Not a checkpoint of the whole Synchformer"),
    ],
    ids=["missing", "unknown", "missing picture", "shape", "visual branch alone"],
)
def test_strict_on_both_sides(original, change, message):
    changed = {key: value for key, value in (original | change).items() if value is not None}
    with pytest.raises(CheckpointError, match=message):
        convert_whole_synchformer(changed, num_attention_heads=4, num_sync_heads=2)
