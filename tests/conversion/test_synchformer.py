# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Conversion of Synchformer's visual branch."""

import pytest
import torch

from deepaudio_diffusers.conversion.synchformer import convert_synchformer, infer_synchformer_config
from deepaudio_diffusers.errors import CheckpointError
from deepaudio_diffusers.models.encoder_synchformer import SynchformerVideoEncoder
from tests.golden import load_golden, weights_of


PREFIX = "vfeat_extractor."


@pytest.fixture
def original():
    return weights_of(load_golden("mmaudio/synchformer_tiny"))


def published_shapes(tiny: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The published state dict on the meta device: that of the fixture, 32 channels -> 768 and 2 blocks -> 12."""
    shapes = {}
    for key, tensor in tiny.items():
        shape = [24 * size if size % 32 == 0 else size for size in tensor.shape]
        names = [key.replace(".blocks.0.", f".blocks.{i}.") for i in range(12)] if ".blocks.0." in key else [key]
        shapes |= {name: torch.empty(shape, device="meta") for name in names if ".blocks.1." not in key}
    return shapes


def test_published_checkpoint():
    original = published_shapes(weights_of(load_golden("mmaudio/synchformer_tiny")))
    assert len(original) == 238
    config = infer_synchformer_config(original)
    assert config == {key: value for key, value in SynchformerVideoEncoder().config.items() if not key.startswith("_")}
    model = convert_synchformer(original)
    assert not model.training
    assert sum(parameter.numel() for parameter in model.parameters()) == 121_850_112


@torch.no_grad()
def test_whole_network_and_bare_branch_give_the_same(original):
    pixel_values = torch.rand(1, 16, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = convert_synchformer(original)(pixel_values).features
    audio_side = {"afeat_extractor.cls_token": torch.zeros(1), "transformer.blocks.0.norm1.weight": torch.zeros(3)}
    bare = {key.removeprefix(PREFIX): value for key, value in original.items()}
    for state_dict in (original | audio_side, bare):
        assert torch.equal(convert_synchformer(state_dict)(pixel_values).features, expected)


def test_dtype_is_kept(original):
    model = convert_synchformer({key: value.half() for key, value in original.items()})
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.1.mlp.fc2.bias": None}, r"1 missing \(transformer_blocks\.1\.ff\.net\.2\.bias\)"),
        ({"head.weight": torch.zeros(3)}, r"1 unknown \(head\.weight\)"),
        ({"blocks.0.norm1.surprise": torch.zeros(3)}, r"1 unknown \(transformer_blocks\.0\.norm_space\.surprise\)"),
        ({"norm.weight": torch.zeros(3)}, r"of another shape \(norm_out\.weight \(3,\) instead of \(32,\)\)"),
        ({"blocks.0.attn.qkv.bias": torch.zeros(2)}, r"attn_space\.to_k\.bias \(1,\) instead of \(32,\)"),
        ({"pos_embed": torch.zeros(3)}, r"'pos_embed' has shape \(3,\); a tensor with 3 axes is expected"),
        ({"class_token": torch.zeros(1, 1, 32)}, "has two tensors for 'class_token'"),
        ({"patch_embed_3d.proj.weight": None}, "visual branch: it has no 'patch_embed_3d.proj.weight'"),
    ],
    ids=[
        "missing",
        "unknown",
        "unknown in a block",
        "shape",
        "shape of a projection",
        "axes",
        "twice",
        "another network",
    ],
)
def test_strict_on_both_sides(original, change, message):
    for key, value in change.items():
        original[PREFIX + key] = value
    with pytest.raises(CheckpointError, match=message):
        convert_synchformer({key: value for key, value in original.items() if value is not None})
