# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Conversion of the whole of Synchformer."""

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
    """The published state dict on the meta device: that of the fixture, 16 channels -> 768 and 2 layers -> 12 and 3."""
    shapes = {}
    for key, tensor in tiny.items():
        # Sizes of patches, segments and offsets are those of the published network, among them 16 for patches.
        fixed = 3 if "patch_embed" in key else 0
        wide = tensor.shape if not fixed else tensor.shape[:1]
        sizes = [48 * size if size in (16, 32, 48, 64) else size for size in wide] + list(tensor.shape[len(wide) :])
        layers = 3 if key.startswith("transformer.") else 12
        for part in (".blocks.", ".layer."):
            if f"{part}1." in key:
                break
            if f"{part}0." in key:
                shapes |= {
                    key.replace(f"{part}0.", f"{part}{i}."): torch.empty(sizes, device="meta") for i in range(layers)
                }
                break
        else:
            shapes[key] = torch.empty(sizes, device="meta")
    return shapes


def test_published_checkpoint(original):
    shapes = published_shapes(original)
    config = infer_whole_synchformer_config(shapes)
    defaults = {key: value for key, value in Synchformer.from_config({}).config.items() if not key.startswith("_")}
    assert config.items() <= defaults.items()
    model = convert_whole_synchformer(shapes)
    assert not model.training
    # 907 MiB of float32 in the published file, of which 2 MiB are the projection that is never applied.
    assert sum(parameter.numel() for parameter in model.parameters()) * 4 / 2**20 == pytest.approx(905, abs=2)


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
