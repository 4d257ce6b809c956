# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The CLIP frame encoder: equal to the original and to transformers' model, with less work."""

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from deepaudio_diffusers.conversion.clip import convert_clip
from deepaudio_diffusers.models.encoder_clip import CLIPFrameEncoder
from tests.golden import load_golden, relative_error, weights_of


# Differences in float32 come from the order of sums alone (2e-7 seen).
TOLERANCE = 1e-5

ATTENTION_IMPLEMENTATIONS = ["sdpa", "eager"]
NUM_TOKENS = 1 + 3 * 3


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=2,
        # 3 x 3 patches of 14 pixels; the last 6 rows and columns of a frame are left out.
        image_size=48,
        patch_size=14,
        projection_dim=20,
    )
    model = CLIPFrameEncoder(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def reference(model):
    reference = CLIPVisionModelWithProjection(model.config).eval()
    reference.load_state_dict(model.state_dict())
    return reference


@pytest.fixture
def pixel_values():
    return torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("implementation", ATTENTION_IMPLEMENTATIONS)
def test_equals_the_original(implementation):
    golden = load_golden("mmaudio/clip_tiny")
    model, _ = convert_clip(weights_of(golden), image_size=48, vision_head_width=20, text_head_width=12)
    model.set_attn_implementation(implementation)
    image_embeds = model(golden["out.normalised_image"]).image_embeds
    assert relative_error(image_embeds, golden["out.image_unnorm"]) < TOLERANCE
    assert relative_error(image_embeds / image_embeds.norm(dim=-1, keepdim=True), golden["out.image"]) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("implementation", ATTENTION_IMPLEMENTATIONS)
def test_equals_transformers(model, reference, pixel_values, implementation):
    for encoder in (model, reference):
        encoder.set_attn_implementation(implementation)
    assert relative_error(model(pixel_values).image_embeds, reference(pixel_values).image_embeds) < 1e-6


@torch.no_grad()
def test_rows_and_columns_beyond_the_patch_grid_do_not_count(model, pixel_values):
    expected = model(pixel_values).image_embeds
    pixel_values[:, :, 42:] = 0
    pixel_values[..., 42:] = 0
    assert torch.equal(model(pixel_values).image_embeds, expected)


@torch.no_grad()
def test_last_block_computes_the_class_token_alone(model, pixel_values):
    shapes = {}

    def record(name):
        return lambda module, args: shapes.update({name: args[0].shape})

    for i, layer in enumerate(model.vision_model.encoder.layers):
        for name in ("q_proj", "k_proj", "v_proj"):
            getattr(layer.self_attn, name).register_forward_pre_hook(record(f"{i}.{name}"))
        layer.mlp.register_forward_pre_hook(record(f"{i}.mlp"))
    model(pixel_values)
    every_token, class_token = (2, NUM_TOKENS, 24), (2, 1, 24)
    assert shapes == {
        **{f"{i}.{name}": every_token for i in (0, 1) for name in ("q_proj", "k_proj", "v_proj", "mlp")},
        "2.q_proj": class_token,
        "2.k_proj": every_token,
        "2.v_proj": every_token,
        "2.mlp": class_token,
    }


@torch.no_grad()
def test_intermediate_outputs_are_those_of_transformers_up_to_the_last_block(model, reference, pixel_values):
    for encoder in (model, reference):
        encoder.set_attn_implementation("eager")
    actual, expected = (
        encoder(pixel_values, output_hidden_states=True, output_attentions=True) for encoder in (model, reference)
    )
    assert len(actual.hidden_states) == len(expected.hidden_states)
    for actual_states, expected_states in zip(actual.hidden_states[:-1], expected.hidden_states[:-1], strict=True):
        assert relative_error(actual_states, expected_states) < 1e-6
    assert relative_error(actual.last_hidden_state, expected.last_hidden_state[:, :1]) < 1e-6
    assert relative_error(actual.attentions[-1], expected.attentions[-1][:, :, :1]) < 1e-6


@torch.no_grad()
def test_tuple_output(model, pixel_values):
    assert torch.equal(model(pixel_values, return_dict=False)[0], model(pixel_values).image_embeds)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_save_and_load(model, pixel_values, tmp_path, dtype):
    model.save_pretrained(tmp_path)
    loaded, info = CLIPFrameEncoder.from_pretrained(tmp_path, dtype=dtype, output_loading_info=True)
    assert not any(info.values())
    # transformers builds on the meta device, where values computed by constructors are lost unless it restores them.
    assert torch.equal(loaded.vision_model.embeddings.position_ids, torch.arange(NUM_TOKENS)[None])
    image_embeds = loaded(pixel_values.to(dtype)).image_embeds
    # bfloat16 has 8 significant bits.
    assert relative_error(image_embeds.float(), model(pixel_values).image_embeds) < (
        1e-6 if dtype == torch.float32 else 0.1
    )


@torch.no_grad()
def test_loads_the_folder_of_a_transformers_model(reference, pixel_values, tmp_path):
    reference.save_pretrained(tmp_path)
    loaded = CLIPFrameEncoder.from_pretrained(tmp_path)
    assert relative_error(loaded(pixel_values).image_embeds, reference(pixel_values).image_embeds) < 1e-6


# The method has got another name since; this one works in all of transformers 5.
@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
def test_gradients_equal_those_of_transformers(model, reference, pixel_values):
    model.train().gradient_checkpointing_enable()
    for encoder in (model, reference):
        encoder(pixel_values).image_embeds.square().sum().backward()
    for (name, parameter), expected in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert torch.allclose(parameter.grad, expected.grad, rtol=1e-4, atol=1e-5), name


@torch.no_grad()
def test_device_map_keeps_layers_whole(model, pixel_values, tmp_path):
    model.save_pretrained(tmp_path / "model")
    total_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
    loaded = CLIPFrameEncoder.from_pretrained(
        tmp_path / "model",
        device_map="auto",
        max_memory={"cpu": total_bytes * 4 // 5},
        offload_folder=tmp_path / "offload",
    )
    assert {"cpu", "disk"} == set(loaded.hf_device_map.values())
    assert [name for name in loaded.hf_device_map if ".layers." in name and name.count(".") > 3] == []
    assert relative_error(loaded(pixel_values).image_embeds, model(pixel_values).image_embeds) < 1e-6


def test_wrong_frame_size(model):
    with pytest.raises(ValueError, match=r"Input image size \(42\*42\) doesn't match model \(48\*48\)"):
        model(torch.zeros(1, 3, 42, 42))
