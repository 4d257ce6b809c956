# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Conversion of open_clip's models to transformers' names."""

import pytest
import torch

from deepaudio_diffusers.conversion.clip import convert_clip, infer_clip_configs
from deepaudio_diffusers.errors import CheckpointError
from tests.golden import load_golden, relative_error, weights_of


# What the shapes of the fixture do not tell.
TINY = {"image_size": 48, "vision_head_width": 20, "text_head_width": 12}


@pytest.fixture(scope="module")
def golden():
    return load_golden("mmaudio/clip_tiny")


@pytest.fixture
def original(golden):
    return weights_of(golden)


def published_shapes(tiny: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """DFN5B ViT-H-14's state dict on the meta device: that of the fixture with its sizes replaced."""
    # Widths of the image model, its feed-forward and attention; positions; then the same of the text model.
    vision = {40: 1280, 160: 5120, 120: 3840, 10: 730, 24: 1024}
    text = {24: 1024, 96: 4096, 72: 3072, 12: 77, 300: 49408}
    shapes = {}
    for key, tensor in tiny.items():
        sizes, num_layers = (vision, 32) if key.startswith("visual.") else (text, 24)
        if "resblocks.1." in key:
            continue
        names = [
            key.replace("resblocks.0.", f"resblocks.{i}.") for i in range(num_layers if "resblocks" in key else 1)
        ]
        shape = [sizes.get(size, size) for size in tensor.shape]
        shapes |= {name: torch.empty(shape, device="meta") for name in names}
    return shapes


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_text_encoder_equals_the_original(golden, implementation):
    _, text_encoder = convert_clip(weights_of(golden), **TINY)
    text_encoder.set_attn_implementation(implementation)
    hidden_states = text_encoder(golden["in.tokens"]).last_hidden_state
    # Differences in float32 come from the order of sums alone (2e-7 seen).
    assert relative_error(hidden_states, golden["out.text_unnorm"]) < 1e-5
    assert relative_error(hidden_states / hidden_states.norm(dim=-1, keepdim=True), golden["out.text"]) < 1e-5


def test_published_checkpoint():
    original = published_shapes(weights_of(load_golden("mmaudio/clip_tiny")))
    vision, text = infer_clip_configs(original)
    assert (vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers) == (1280, 5120, 32)
    assert (vision.num_attention_heads, vision.patch_size, vision.image_size) == (16, 14, 384)
    assert (text.hidden_size, text.intermediate_size, text.num_hidden_layers) == (1024, 4096, 24)
    assert (text.num_attention_heads, text.max_position_embeddings, text.vocab_size) == (16, 77, 49408)
    assert (text.bos_token_id, text.eos_token_id, text.pad_token_id) == (49406, 49407, 0)
    assert vision.hidden_act == text.hidden_act == "quick_gelu"
    assert vision.projection_dim == text.projection_dim == 1024

    image_encoder, text_encoder = convert_clip(original)
    # ViT-H-14 has 986.7 M: these, the projection of whole texts (1024 x 1024) and the temperature.
    num_parameters = [sum(p.numel() for p in model.parameters()) for model in (image_encoder, text_encoder)]
    assert num_parameters == [632_682_240, 352_984_064]


def test_models_are_in_evaluation_mode_and_keep_the_dtype(original):
    for model in convert_clip({key: value.half() for key, value in original.items()}, **TINY):
        assert not model.training
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}


@torch.no_grad()
def test_save_and_load(original, golden, tmp_path):
    for model in convert_clip(original, **TINY):
        model.save_pretrained(tmp_path)
        loaded, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
        assert not any(info.values())
        inputs = golden["in.tokens"] if model.main_input_name == "input_ids" else golden["out.normalised_image"]
        assert torch.equal(loaded(inputs)[0], model(inputs)[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visual.ln_pre.bias": None}, r"CLIPFrameEncoder: 1 missing \(vision_model\.pre_layrnorm\.bias\)"),
        (
            {"visual.transformer.resblocks.1.attn.in_proj_bias": None},
            r"3 missing \(vision_model\.encoder\.layers\.1\.self_attn\.k_proj\.bias, ",
        ),
        (
            {"visual.transformer.resblocks.1.attn.in_proj_bias": torch.zeros(4)},
            r"3 of another shape \(vision_model\.encoder\.layers\.1\.self_attn\.k_proj\.bias \(1,\) instead of",
        ),
        ({"visual.attn_pool.query": torch.zeros(1)}, r"CLIPFrameEncoder: 1 unknown \(attn_pool\.query\)"),
        ({"ln_final.weight": None}, r"CLIPTextModel: 1 missing \(final_layer_norm\.weight\)"),
        ({"cls_emb": torch.zeros(1)}, r"CLIPTextModel: 1 unknown \(cls_emb\)"),
        ({"ln_final.weight": torch.zeros(3)}, r"final_layer_norm\.weight \(3,\) instead of \(24,\)"),
        ({"encoder.layers.0.mlp.fc1.bias": torch.zeros(96)}, "has two tensors for 'encoder.layers.0.mlp.fc1.bias'"),
        ({"visual.conv1.weight": torch.zeros(3)}, r"'visual\.conv1\.weight' has shape \(3,\); .* 4 axes"),
        ({"visual.conv1.weight": None}, "has no 'visual.conv1.weight'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_strict_on_both_sides(original, change, message):
    with pytest.raises(CheckpointError, match=message):
        convert_clip({key: value for key, value in (original | change).items() if value is not None}, **TINY)


def test_frame_size_that_does_not_fit_the_positions(original):
    with pytest.raises(CheckpointError, match=r"`image_size` is 384, which makes 729 patches .* positions of 9"):
        convert_clip(original)
