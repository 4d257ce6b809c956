# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Synchformer's visual branch: equal to the original, and a full citizen of diffusers."""

import pytest
import torch
from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend
from torch import nn

from deepaudio_diffusers.conversion.synchformer import convert_synchformer
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.models.encoder_synchformer import (
    SynchformerBlock,
    SynchformerSpatialAggregator,
    SynchformerVideoEncoder,
)
from tests.golden import load_golden, relative_error, weights_of


# Differences in float32 come from the order of sums alone (7e-7 seen).
TOLERANCE = 1e-5

# Small enough for milliseconds, and no two sizes alike, so that a mixed-up axis shows.
TINY = {
    "hidden_size": 24,
    "num_layers": 2,
    "num_attention_heads": 3,
    "mlp_ratio": 2.0,
    "image_size": 40,
    "patch_size": 8,
    "tubelet_size": 2,
    "num_frames": 6,
}


@pytest.fixture(scope="module")
def golden():
    return load_golden("mmaudio/synchformer_tiny")


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = SynchformerVideoEncoder(**TINY).eval()
    with torch.no_grad():
        # Biases and normalisations start as identities; make them count.
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def pixel_values():
    return torch.rand(2, 6, 3, 40, 40, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def expected(model, pixel_values):
    with torch.no_grad():
        return model(pixel_values).features


def golden_frames() -> torch.Tensor:
    """The 32 frames that the fixture was made from, given there by a formula; float32 of shape (32, 3, 224, 224)."""
    t, c, h, w = torch.meshgrid(*(torch.arange(size) for size in (32, 3, 224, 224)), indexing="ij")
    values = (131 * t + 17 * c + 7 * h + 13 * w + 5 * ((h * w) % 11) + (t * h) % 23) % 256
    return (values.float() / 255 - 0.5) / 0.5


@torch.no_grad()
def test_equals_the_original(golden):
    # The fixture's heads are 8 wide, which its shapes do not tell.
    model = convert_synchformer(weights_of(golden), num_attention_heads=4)
    frames = golden_frames()
    assert relative_error(frames.sum((1, 2, 3)), golden["in.check_sum_per_frame"]) < TOLERANCE
    segments = torch.stack([frames[start : start + 16] for start in (0, 8, 16)])
    features = model(segments).features
    assert relative_error(features[0], golden["out.segment0"][0, 0]) < TOLERANCE
    assert relative_error(features.flatten(0, 1), golden["out.encode_video"][0]) < TOLERANCE


@torch.no_grad()
def test_aggregator_equals_the_class_token_of_a_whole_transformer_layer():
    torch.manual_seed(0)
    aggregator = SynchformerSpatialAggregator(24, heads=3, mlp_ratio=4.0).eval()
    layer = nn.TransformerEncoderLayer(
        24, 3, 96, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).eval()
    attn, feed_forward = aggregator.attn, aggregator.ff.net
    layer.self_attn.in_proj_weight.copy_(torch.cat([attn.to_q.weight, attn.to_k.weight, attn.to_v.weight]))
    layer.self_attn.in_proj_bias.copy_(torch.cat([attn.to_q.bias, attn.to_k.bias, attn.to_v.bias]))
    layer.self_attn.out_proj.load_state_dict(attn.to_out[0].state_dict())
    layer.linear1.load_state_dict(feed_forward[0].proj.state_dict())
    layer.linear2.load_state_dict(feed_forward[2].state_dict())
    patches = torch.randn(4, 9, 24)
    whole = layer(torch.cat([aggregator.class_token.expand(4, -1, -1), patches], dim=1))
    assert relative_error(aggregator(patches), whole[:, 0]) < 1e-6


@torch.no_grad()
def test_published_size():
    with torch.device("meta"):
        model = SynchformerVideoEncoder()
        features = model(torch.empty(1, 16, 3, 224, 224)).features
    assert features.shape == (1, 8, 768)
    # 122.4 M in the published file, less the 590 592 of the projection that is never applied.
    assert sum(parameter.numel() for parameter in model.parameters()) == 121_850_112


@torch.no_grad()
def test_segments_do_not_depend_on_each_other(model, pixel_values, expected):
    alone = torch.cat([model(segment[None]).features for segment in pixel_values])
    assert relative_error(alone, expected) < TOLERANCE


@torch.no_grad()
def test_tuple_output(model, pixel_values, expected):
    (features,) = model(pixel_values, return_dict=False)
    assert torch.equal(features, expected)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_save_and_load(model, pixel_values, expected, tmp_path, dtype):
    model.save_pretrained(tmp_path)
    loaded = SynchformerVideoEncoder.from_pretrained(tmp_path, dtype=dtype)
    assert dict(loaded.config).items() >= TINY.items()
    features = loaded(pixel_values.to(dtype)).features
    # bfloat16 has 8 significant bits.
    assert relative_error(features.float(), expected) < (1e-6 if dtype == torch.float32 else 0.05)


def test_gradient_checkpointing_gives_the_same_gradients(model, pixel_values):
    def gradients():
        model.zero_grad()
        model(pixel_values).features.square().mean().backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    plain = gradients()
    assert all(gradient.abs().max() > 0 for gradient in plain)

    calls = []
    handles = [
        block.register_forward_pre_hook(lambda *_: calls.append(1))
        for block in model.modules()
        if isinstance(block, SynchformerBlock)
    ]
    model.enable_gradient_checkpointing()
    checkpointed = gradients()
    for handle in handles:
        handle.remove()
    # Every block runs once forward and once more backward.
    assert len(calls) == 2 * TINY["num_layers"]
    for gradient, expected_gradient in zip(checkpointed, plain, strict=True):
        assert torch.allclose(gradient, expected_gradient, atol=1e-7)


@torch.no_grad()
def test_fused_projections(model, pixel_values, expected):
    model.fuse_qkv_projections()
    assert model.transformer_blocks[0].attn_time.to_qkv.weight.shape == (72, 24)
    assert model.spatial_aggregator.attn.to_kv.weight.shape == (48, 24)
    # The fused layers are in use when the separate ones no longer matter.
    separate = [module for name, module in model.named_modules() if name.endswith((".to_k", ".to_v"))]
    kept = [module.weight.clone() for module in separate]
    for module in separate:
        module.weight.zero_()
    assert relative_error(model(pixel_values).features, expected) < TOLERANCE
    for module, weight in zip(separate, kept, strict=True):
        module.weight.copy_(weight)
    model.unfuse_qkv_projections()
    assert torch.equal(model(pixel_values).features, expected)


@torch.no_grad()
def test_attention_backend(model, pixel_values, expected):
    # Choosing a backend for a model also makes it the process's default; the context restores that.
    with attention_backend("native"):
        model.set_attention_backend("_native_math")
        backends = {processor._attention_backend for processor in model.attn_processors.values()}
        features = model(pixel_values).features
    assert len(model.attn_processors) == 2 * TINY["num_layers"] + 1
    assert backends == {AttentionBackendName._NATIVE_MATH}
    assert relative_error(features, expected) < TOLERANCE


@torch.no_grad()
def test_own_attention_processors(model, pixel_values, expected):
    class Silent:
        def __call__(self, attn, hidden_states, *_):
            return torch.zeros_like(hidden_states)

    processors = model.attn_processors
    model.set_attn_processor({name: Silent() for name in processors})
    assert relative_error(model(pixel_values).features, expected) > 0.01
    model.set_attn_processor(processors)
    assert torch.equal(model(pixel_values).features, expected)


@torch.no_grad()
def test_compiled_blocks(model, pixel_values, expected):
    # "eager" traces the blocks into full graphs, where a graph break is an error, and generates no code.
    model.compile_repeated_blocks(fullgraph=True, backend="eager")
    assert relative_error(model(pixel_values).features, expected) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize(
    "offload", [{"offload_type": "leaf_level"}, {"offload_type": "block_level", "num_blocks_per_group": 1}], ids=str
)
def test_group_offload(model, pixel_values, expected, tmp_path, offload):
    # By way of a folder: between two places in memory, a weight that is not fetched would be there all the same.
    model.enable_group_offload(onload_device=torch.device("cpu"), offload_to_disk_path=str(tmp_path), **offload)
    assert torch.equal(model(pixel_values).features, expected)


@torch.no_grad()
def test_layerwise_casting(model, pixel_values, expected):
    model.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    block = model.transformer_blocks[0]
    assert block.attn_time.to_q.weight.dtype == block.ff.net[2].weight.dtype == torch.float8_e4m3fn
    assert block.norm_time.weight.dtype == model.patch_embedding.weight.dtype == torch.float32
    # float8_e4m3fn has 4 significant bits.
    assert relative_error(model(pixel_values).features, expected) < 0.3


@torch.no_grad()
# accelerate takes the names of parameters for those of modules here; it places them all the same.
@pytest.mark.filterwarnings("ignore:The following device_map keys do not match any submodules")
def test_device_map_keeps_blocks_whole(model, pixel_values, expected, tmp_path):
    model.save_pretrained(tmp_path / "model")
    block_bytes = 4 * sum(parameter.numel() for parameter in model.transformer_blocks[0].parameters())
    loaded = SynchformerVideoEncoder.from_pretrained(
        tmp_path / "model",
        device_map="auto",
        # Room for the embeddings and a block and a half.
        max_memory={"cpu": 4 * model.patch_embedding.weight.numel() + 2 * block_bytes},
        offload_folder=tmp_path / "offload",
    )
    assert {"cpu", "disk"} == set(loaded.hf_device_map.values())
    inside_blocks = [
        name for name in loaded.hf_device_map if name.count(".") > 1 or name.startswith("spatial_aggregator.")
    ]
    assert inside_blocks == []
    assert relative_error(loaded(pixel_values).features, expected) < 1e-6


@pytest.mark.parametrize(
    "shape",
    [(6, 3, 40, 40), (1, 5, 3, 40, 40), (1, 3, 6, 40, 40), (1, 6, 3, 40, 48)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_wrong_shape(model, shape):
    with pytest.raises(InputError, match=r"`pixel_values` has shape .*; expected \(batch_size, 6, 3, 40, 40\)"):
        model(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong", [{"num_attention_heads": 5}, {"patch_size": 9}, {"num_frames": 7}], ids=lambda wrong: next(iter(wrong))
)
def test_sizes_that_do_not_divide(wrong):
    with pytest.raises(InputError, match="pass a multiple of"):
        SynchformerVideoEncoder(**(TINY | wrong))
