# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""MMAudio's velocity network: equal to the original, and a full citizen of diffusers."""

import json

import pytest
import torch
from diffusers import (
    FasterCacheConfig,
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)
from diffusers.hooks import LayerSkipConfig, apply_layer_skip
from peft import LoraConfig

from deepaudio_diffusers.conversion.mmaudio import (
    convert_mmaudio_transformer,
    infer_mmaudio_transformer_config,
    map_mmaudio_transformer_state_dict,
)
from deepaudio_diffusers.errors import CheckpointError, InputError
from deepaudio_diffusers.models.transformer_mmaudio import (
    MMAudioConditions,
    MMAudioTransformer1DModel,
    _sync_tokens_of_latents,
)
from deepaudio_diffusers.schedulers import FlowMatchGridEulerScheduler, flow_time, model_output_from_velocity
from tests.golden import FIXTURES, load_golden, relative_error, weights_of


# One call in float32: differences come from the order of sums alone (1e-6 seen).
SINGLE_CALL_TOLERANCE = 1e-5
# 25 guided steps amplify them; the original itself moves by 4e-6 with its number of threads.
SAMPLE_TOLERANCE = 1e-4

VARIANTS = ["v1", "v2"]
NUM_CLIP_TOKENS, NUM_SYNC_TOKENS = 6, 16


@pytest.fixture(scope="module", params=VARIANTS)
def golden(request):
    return load_golden(f"mmaudio/mmdit_tiny_{request.param}")


@pytest.fixture(scope="module")
def reference_model(golden):
    return convert_mmaudio_transformer(weights_of(golden))


@pytest.fixture
def model():
    """A network with every weight away from zero, so that nothing is an identity by chance."""
    torch.manual_seed(0)
    model = MMAudioTransformer1DModel(
        latent_channels=8,
        clip_dim=24,
        sync_dim=16,
        text_dim=20,
        text_length=7,
        hidden_size=32,
        num_attention_heads=2,
        num_layers=2,
        num_single_layers=2,
        time_embed_channels=32,
        latents_per_second=25.0,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    shapes = {
        "hidden_states": (2, 19, 8),
        "clip_features": (2, NUM_CLIP_TOKENS, 24),
        "sync_features": (2, NUM_SYNC_TOKENS, 16),
        "text_features": (2, 7, 20),
    }
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return {**tensors, "timestep": torch.tensor([0.2, 0.7])}


def conditions_of(model, golden, text="in.text_f"):
    return model.encode_conditions(
        golden["in.clip_f"], golden["in.sync_f"], golden[text], NUM_CLIP_TOKENS, NUM_SYNC_TOKENS
    )


def null_conditions_of(model, text_features=None):
    conditions = model.encode_conditions(None, None, text_features, NUM_CLIP_TOKENS, NUM_SYNC_TOKENS)
    return conditions if text_features is not None else conditions.expand(2)


@torch.no_grad()
def guided_velocity(model, latents, time, conditions, null_conditions, strength):
    """Guidance as the original defines it: below a strength of one there is no second evaluation."""
    timestep = torch.full((latents.shape[0],), time)
    if strength < 1:
        return model(latents, timestep, conditions=conditions).sample
    both = MMAudioConditions.cat([null_conditions, conditions])
    null_velocity, velocity = model(latents, timestep, conditions=both).sample.chunk(2)
    return strength * velocity + (1 - strength) * null_velocity


@torch.no_grad()
def sample(model, latents, conditions, null_conditions, strength, num_steps):
    """The loop of the pipeline, with the scheduler that stands for the original's sampler."""
    scheduler = FlowMatchGridEulerScheduler()
    scheduler.set_timesteps(num_steps)
    for timestep in scheduler.timesteps:
        time = flow_time(timestep, scheduler.config.num_train_timesteps).item()
        velocity = guided_velocity(model, latents, time, conditions, null_conditions, strength)
        latents = scheduler.step(model_output_from_velocity(velocity), timestep, latents).prev_sample
    return latents


class TestParity:
    """Against fixtures of hkchengrex/MMAudio, whose weights are seeded and random."""

    @torch.no_grad()
    def test_conditions(self, golden, reference_model):
        for prefix, conditions in (
            ("cond", conditions_of(reference_model, golden)),
            ("empty", null_conditions_of(reference_model)),
            ("neg", null_conditions_of(reference_model, golden["in.neg_text_f"])),
        ):
            assert relative_error(conditions.clip_states, golden[f"{prefix}.clip_f"]) <= SINGLE_CALL_TOLERANCE
            assert relative_error(conditions.text_states, golden[f"{prefix}.text_f"]) <= SINGLE_CALL_TOLERANCE
            # The original spreads Synchformer tokens over the latents at once; here they keep their own rate.
            index = torch.arange(NUM_SYNC_TOKENS, dtype=torch.float32)[None, None]
            index = torch.nn.functional.interpolate(index, size=19, mode="nearest-exact")[0, 0].long()
            sync_states = conditions.sync_states[:, index]
            assert relative_error(sync_states, golden[f"{prefix}.sync_f"]) <= SINGLE_CALL_TOLERANCE
            pooled = reference_model.pooled_ff(golden[f"{prefix}.clip_f_c"] + golden[f"{prefix}.text_f_c"])
            assert relative_error(conditions.pooled, pooled) <= SINGLE_CALL_TOLERANCE

    @torch.no_grad()
    def test_time_embedding(self, golden, reference_model):
        assert (
            relative_error(reference_model.time_embed(golden["t.values"]), golden["t.embed"]) <= SINGLE_CALL_TOLERANCE
        )

    @torch.no_grad()
    @pytest.mark.parametrize("time", [0.0, 0.04, 0.5, 0.96, 1.0])
    def test_velocity(self, golden, reference_model, time):
        velocity = reference_model(
            golden["in.latent"],
            torch.full((2,), time),
            clip_features=golden["in.clip_f"],
            sync_features=golden["in.sync_f"],
            text_features=golden["in.text_f"],
        ).sample
        assert relative_error(velocity, golden[f"flow.t{time}"]) <= SINGLE_CALL_TOLERANCE

    @torch.no_grad()
    def test_every_block(self, golden, reference_model):
        seen = {}
        hooks = []
        for kind, blocks in (
            ("joint", reference_model.transformer_blocks),
            ("fused", reference_model.single_transformer_blocks),
        ):
            for i, block in enumerate(blocks):
                name = f"mid.{kind}{i}"
                hooks.append(
                    block.register_forward_hook(lambda _, __, output, name=name: seen.__setitem__(name, output))
                )
        reference_model(golden["in.latent"], torch.full((2,), 0.5), conditions=conditions_of(reference_model, golden))
        for hook in hooks:
            hook.remove()
        for name, (latents, context) in seen.items():
            assert relative_error(latents, golden[f"{name}.latent"]) <= SINGLE_CALL_TOLERANCE
            if "joint" in name:
                expected = torch.cat([golden[f"{name}.clip"], golden[f"{name}.text"]], dim=1)
                assert relative_error(context, expected) <= SINGLE_CALL_TOLERANCE
        assert len(seen) == 4

    @torch.no_grad()
    def test_another_length(self, golden, reference_model):
        velocity = reference_model(
            golden["dur.latent"],
            torch.tensor([0.5]),
            clip_features=golden["dur.clip_f"],
            sync_features=golden["dur.sync_f"],
            text_features=golden["in.text_f"][:1],
        ).sample
        assert relative_error(velocity, golden["dur.flow.t0.5"]) <= SINGLE_CALL_TOLERANCE

    @torch.no_grad()
    def test_text_alone(self, golden, reference_model):
        conditions = null_conditions_of(reference_model, golden["in.text_f"])
        velocity = reference_model(golden["in.latent"], torch.full((2,), 0.5), conditions=conditions).sample
        assert relative_error(velocity, golden["t2a.flow.t0.5"]) <= SINGLE_CALL_TOLERANCE

    @pytest.mark.parametrize(
        ("strength", "negative", "key"),
        [
            (4.5, False, "cfg.t0.32_s4.5"),
            (4.5, True, "cfg.t0.32_s4.5_neg"),
            (1.0, False, "cfg.t0.32_s1.0"),
            (0.9, False, "cfg.t0.32_s0.9"),
        ],
    )
    def test_guidance(self, golden, reference_model, strength, negative, key):
        null_conditions = null_conditions_of(reference_model, golden["in.neg_text_f"] if negative else None)
        conditions = conditions_of(reference_model, golden)
        velocity = guided_velocity(reference_model, golden["in.latent"], 0.32, conditions, null_conditions, strength)
        # Guidance subtracts two near velocities and so multiplies their rounding by its strength.
        assert relative_error(velocity, golden[key]) <= 2 * strength * SINGLE_CALL_TOLERANCE

    @pytest.mark.parametrize(
        ("num_steps", "strength", "negative", "key"),
        [
            (25, 4.5, False, "ode.n25_s4.5"),
            (25, 4.5, True, "ode.n25_s4.5_neg"),
            (10, 2.0, False, "ode.n10_s2.0"),
            (7, 0.0, False, "ode.n7_s0.0"),
        ],
    )
    def test_sample(self, golden, reference_model, num_steps, strength, negative, key):
        null_conditions = null_conditions_of(reference_model, golden["in.neg_text_f"] if negative else None)
        conditions = conditions_of(reference_model, golden)
        latents = sample(reference_model, golden["in.latent"], conditions, null_conditions, strength, num_steps)
        assert relative_error(latents, golden[key]) <= SAMPLE_TOLERANCE

    def test_latent_statistics(self, golden, reference_model):
        latents = golden["ode.n25_s4.5"]
        denormalized = reference_model.denormalize_latents(latents)
        assert relative_error(denormalized, golden["ode.unnorm"]) <= SINGLE_CALL_TOLERANCE
        assert relative_error(reference_model.normalize_latents(denormalized), latents) <= SINGLE_CALL_TOLERANCE

    def test_training_loss_and_gradients(self, golden, request):
        model = convert_mmaudio_transformer(weights_of(golden)).train()
        null_clip, null_sync, null_text = model.null_features(NUM_CLIP_TOKENS, NUM_SYNC_TOKENS)
        null_video, no_text = golden["train.null_video"][:, None, None], golden["train.null_text"][:, None, None]
        velocity = model(
            golden["train.xt"],
            golden["train.t"],
            clip_features=torch.where(null_video, null_clip, golden["train.clip_f"]),
            sync_features=torch.where(null_video, null_sync, golden["train.sync_f"]),
            text_features=torch.where(no_text, null_text, golden["train.text_f"]),
        ).sample
        loss = (velocity - (golden["train.x1"] - golden["train.x0"])).square().mean(dim=(1, 2))
        assert relative_error(loss, golden["train.loss"]) <= SINGLE_CALL_TOLERANCE
        loss.mean().backward()
        gradients = {
            "grad.empty_clip_feat": model.null_features.clip,
            "grad.empty_sync_feat": model.null_features.sync,
            "grad.sync_pos_emb": model.sync_pos_embed.weight,
            "grad.t_embed.mlp.0.bias": model.time_embed.linear_1.bias,
            "grad.final_layer.conv.bias": model.proj_out.bias,
            "grad.joint_blocks.0.latent_block.attn.q_norm.weight": model.transformer_blocks[0].attn.norm_q.weight,
            "grad.joint_blocks.1.clip_block.attn.k_norm.weight": model.transformer_blocks[1].attn.norm_added_k.weight,
        }
        for key, parameter in gradients.items():
            # Gradients are sums over all tokens of products of many terms: ten times the forward tolerance.
            assert relative_error(parameter.grad, golden[key]) <= 10 * SINGLE_CALL_TOLERANCE, key


class TestPublishedSizes:
    """The five published networks, on the meta device. The fixture holds the original's keys and shapes."""

    # Millions of parameters, frozen ones included, and number of keys.
    SIZES = {
        "small_16k": (157.28, 251),
        "small_44k": (157.41, 251),
        "medium_44k": (621.81, 251),
        "large_44k": (1030.00, 416),
        "large_44k_v2": (1030.58, 416),
    }

    @pytest.mark.parametrize("variant", list(SIZES))
    def test_converts_without_a_key_left_over(self, variant):
        shapes = json.loads((FIXTURES / "mmaudio" / "reference_state_dicts.json").read_text())[variant]
        original = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
        millions, num_keys = self.SIZES[variant]
        assert len(original) == num_keys

        model = convert_mmaudio_transformer(original)  # raises when a key is left over on either side
        count = sum(tensor.numel() for tensor in model.state_dict().values())
        assert count == sum(tensor.numel() for tensor in original.values())
        assert round(count / 1e6, 2) == millions
        assert model.config.latents_per_second == (31.25 if variant == "small_16k" else 44100 / 1024)

    def test_defaults_are_the_recommended_variant(self):
        shapes = json.loads((FIXTURES / "mmaudio" / "reference_state_dicts.json").read_text())["large_44k_v2"]
        original = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
        with torch.device("meta"):
            defaults = MMAudioTransformer1DModel().config
        for name, value in infer_mmaudio_transformer_config(original).items():
            assert defaults[name] == value, name


class TestConversionErrors:
    def test_other_model(self):
        with pytest.raises(CheckpointError, match=r"audio_input_proj\.0\.weight"):
            convert_mmaudio_transformer({"conv_in.weight": torch.zeros(1)})

    def test_missing_and_unknown_keys_are_named(self, golden):
        state_dict = weights_of(golden)
        state_dict["surprise"] = state_dict.pop("final_layer.conv.bias")
        with pytest.raises(CheckpointError, match=r"1 missing \(proj_out\.bias\).*1 unknown \(surprise\)"):
            convert_mmaudio_transformer(state_dict)

    def test_wrong_shape_is_named(self, golden):
        state_dict = weights_of(golden)
        state_dict["final_layer.conv.bias"] = torch.zeros(3)
        with pytest.raises(CheckpointError, match=r"proj_out\.bias \(3,\) instead of \(8,\)"):
            convert_mmaudio_transformer(state_dict)

    def test_half_a_feed_forward(self, golden):
        state_dict = weights_of(golden)
        del state_dict["global_cond_mlp.w3.weight"]
        with pytest.raises(CheckpointError, match=r"global_cond_mlp\.w1"):
            map_mmaudio_transformer_state_dict(state_dict)


class TestForward:
    @torch.no_grad()
    def test_one_projection_serves_all_condition_sets(self, model, inputs):
        latents, timestep = inputs["hidden_states"], inputs["timestep"]
        features = [inputs[f"{name}_features"] for name in ("clip", "sync", "text")]
        conditions = model.encode_conditions(*features, NUM_CLIP_TOKENS, NUM_SYNC_TOKENS)
        null_conditions = null_conditions_of(model)
        both = model(latents, timestep, conditions=MMAudioConditions.cat([null_conditions, conditions])).sample
        apart = [model(latents, timestep, conditions=c).sample for c in (null_conditions, conditions)]
        torch.testing.assert_close(both, torch.cat(apart), rtol=1e-5, atol=1e-6)

    @torch.no_grad()
    def test_none_is_the_null_feature(self, model, inputs):
        latents, timestep = inputs["hidden_states"], inputs["timestep"]
        # 19 latents at 25 a second last 0.76 s: 6 CLIP frames, and one segment of Synchformer frames.
        null_clip, null_sync, null_text = (tensor.expand(2, -1, -1) for tensor in model.null_features(6, 8))
        given = model(latents, timestep, null_clip, null_sync, null_text).sample
        torch.testing.assert_close(model(latents, timestep).sample, given, rtol=1e-5, atol=1e-6)

    def test_return_dict(self, model, inputs):
        with torch.no_grad():
            assert torch.equal(model(**inputs).sample, model(**inputs, return_dict=False)[0])

    def test_conditions_and_features_contradict(self, model, inputs):
        with pytest.raises(InputError, match="`conditions` and `clip_features` were given"):
            model(**inputs, conditions=null_conditions_of(model))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"hidden_states": torch.zeros(2, 19, 9)}, r"`hidden_states` has shape \(2, 19, 9\)"),
            ({"timestep": torch.zeros(3)}, r"`timestep` has shape \(3,\)"),
            ({"clip_features": torch.zeros(2, 6, 25)}, r"`clip_features` has shape \(2, 6, 25\)"),
            ({"text_features": torch.zeros(2, 8, 20)}, r"`text_features` has shape \(2, 8, 20\); expected .*7, 20"),
            ({"sync_features": torch.zeros(2, 15, 16)}, r"`num_sync_tokens` is 15"),
            ({"clip_features": torch.zeros(3, 6, 24)}, r"`clip_features` has batch size 3 for 2 `hidden_states`"),
            (
                {
                    name: torch.zeros(3, *shape)
                    for name, shape in {
                        "clip_features": (6, 24),
                        "sync_features": (16, 16),
                        "text_features": (7, 20),
                    }.items()
                },
                r"`clip_features` has batch size 3 for 2",
            ),
        ],
    )
    def test_shapes_are_checked(self, model, inputs, change, message):
        with pytest.raises(InputError, match=message):
            model(**(inputs | change))

    def test_sync_tokens_with_edges_stay_at_their_frames(self):
        # 3.84 s: 96 frames, of which tokens stand for the fifth to the fifth from last, and 120 latents.
        index = _sync_tokens_of_latents(120, 88, 4, torch.device("cpu"))
        frame_of_latent = ((torch.arange(120) + 0.5) / 31.25 * 25).floor()
        assert index.equal((frame_of_latent.long() - 4).clamp(0, 87))

    def test_sync_edge_tokens_reach_the_network(self, model, inputs):
        with_edges = MMAudioTransformer1DModel.from_config(model.config, sync_edge_tokens=4)
        with_edges.load_state_dict(model.state_dict())
        assert not torch.equal(with_edges.eval()(**inputs).sample, model(**inputs).sample)

    def test_config_is_checked(self):
        with pytest.raises(InputError, match=r"`hidden_size` \(30\)"):
            MMAudioTransformer1DModel(hidden_size=30, num_attention_heads=4)
        with pytest.raises(InputError, match=r"`conv_activation` is 'gelu'"):
            MMAudioTransformer1DModel(hidden_size=32, num_attention_heads=2, conv_activation="gelu")

    def test_a_new_network_predicts_zero(self, inputs, model):
        fresh = MMAudioTransformer1DModel.from_config(model.config)
        assert torch.equal(fresh(**inputs).sample, torch.zeros(2, 19, 8))


class TestDiffusersFeatures:
    def test_save_and_load(self, model, inputs, tmp_path):
        model.save_pretrained(tmp_path, max_shard_size="100KB")
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        loaded = MMAudioTransformer1DModel.from_pretrained(tmp_path)
        with torch.no_grad():
            assert torch.equal(loaded(**inputs).sample, model(**inputs).sample)

    def test_bfloat16_keeps_time_and_statistics_in_float32(self, model, inputs, tmp_path):
        model.save_pretrained(tmp_path)
        loaded = MMAudioTransformer1DModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
        assert loaded.time_embed.linear_1.weight.dtype == torch.float32
        assert loaded.latent_statistics.std.dtype == torch.float32
        assert loaded.proj_out.weight.dtype == torch.bfloat16
        half = {n: t if n == "timestep" else t.bfloat16() for n, t in inputs.items()}
        with torch.no_grad():
            # bfloat16 has 8 bits of mantissa; errors add up over four blocks.
            assert relative_error(loaded(**half).sample.float(), model(**inputs).sample) < 0.1

    @pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
    def test_single_file_keeps_them_too(self, tmp_path, name):
        original = weights_of(load_golden("mmaudio/mmdit_tiny_v2"))
        torch.save(original, tmp_path / "mmaudio.pth")
        loaded = MMAudioTransformer1DModel.from_single_file(str(tmp_path / "mmaudio.pth"), **{name: torch.bfloat16})
        assert loaded.proj_out.weight.dtype == torch.bfloat16
        assert torch.equal(loaded.time_embed.linear_1.weight, original["t_embed.mlp.0.weight"])
        plain = MMAudioTransformer1DModel.from_single_file(str(tmp_path / "mmaudio.pth"))
        assert plain.proj_out.weight.dtype == torch.float32

    def test_fused_projections(self, model, inputs):
        with torch.no_grad():
            expected = model(**inputs).sample
            model.fuse_qkv_projections()
            assert model.transformer_blocks[0].attn.to_text_qkv.weight.shape == (96, 32)
            fused = model(**inputs).sample
            model.unfuse_qkv_projections()
            assert not hasattr(model.transformer_blocks[0].attn, "to_text_qkv")
            torch.testing.assert_close(fused, expected, rtol=1e-5, atol=1e-6)
            assert torch.equal(model(**inputs).sample, expected)

    def test_attention_backend(self, model, inputs):
        from diffusers.models.attention_dispatch import attention_backend

        with torch.no_grad(), attention_backend("native"):
            expected = model(**inputs).sample
            model.set_attention_backend("_native_math")
            assert model.transformer_blocks[0].attn.processor._attention_backend == "_native_math"
            actual = model(**inputs).sample
            model.reset_attention_backend()
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)

    def test_attention_processors_can_be_listed_and_set(self, model, inputs):
        processors = model.attn_processors
        assert len(processors) == 4
        model.set_attn_processor(dict(processors))
        with torch.no_grad():
            model(**inputs)

    def test_gradient_checkpointing(self, model, inputs):
        model.train()
        gradients = []
        for checkpointing in (False, True):
            model.zero_grad()
            if checkpointing:
                model.enable_gradient_checkpointing()
            model(**inputs).sample.square().mean().backward()
            gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
        assert gradients[0].keys() == gradients[1].keys()
        for name, gradient in gradients[0].items():
            torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-5, atol=1e-7, msg=name)
        # Null features of given modalities take no part; queries of the last joint block's context get zeros.
        unused = {name for name, p in model.named_parameters() if p.grad is None}
        assert unused == {"null_features.clip", "null_features.sync"}

    def test_regional_compilation(self, model, inputs):
        with torch.no_grad():
            expected = model(**inputs).sample
            model.compile_repeated_blocks(backend="eager", fullgraph=True)
            torch.testing.assert_close(model(**inputs).sample, expected)

    def test_layerwise_casting(self, model, inputs):
        with torch.no_grad():
            expected = model(**inputs).sample
            model.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
            assert model.transformer_blocks[0].attn.to_q.weight.dtype == torch.bfloat16
            assert model.time_embed.linear_1.weight.dtype == torch.float32
            actual = model(**inputs).sample
        assert 0 < relative_error(actual, expected) < 0.05

    @pytest.mark.parametrize("offload_type", ["leaf_level", "block_level"])
    def test_group_offload(self, model, inputs, offload_type, tmp_path):
        with torch.no_grad():
            expected = model.denormalize_latents(model(**inputs).sample)
            # From disk: between CPU and CPU a weight that is not fetched would go unnoticed.
            model.enable_group_offload(
                onload_device=torch.device("cpu"),
                offload_type=offload_type,
                num_blocks_per_group=1 if offload_type == "block_level" else None,
                offload_to_disk_path=str(tmp_path),
            )
            for _ in range(2):
                assert torch.equal(model.denormalize_latents(model(**inputs).sample), expected)

    def test_lora_scale_reaches_the_conditions(self, model, inputs):
        features = [inputs[f"{name}_features"] for name in ("clip", "sync", "text")]
        with torch.no_grad():
            expected = model.encode_conditions(*features, NUM_CLIP_TOKENS, NUM_SYNC_TOKENS)
            model.add_adapter(LoraConfig(r=2, target_modules=["clip_embedder.proj"], init_lora_weights=False))
            off = {"attention_kwargs": {"scale": 0.0}}
            torch.testing.assert_close(
                model.encode_conditions(*features, NUM_CLIP_TOKENS, NUM_SYNC_TOKENS, **off).clip_states,
                expected.clip_states,
            )

    def test_device_map_offload(self, model, inputs, tmp_path):
        from accelerate import cpu_offload

        with torch.no_grad():
            expected = model(**inputs).sample
            # Every layer's weights sit on the meta device between calls, as in sequential CPU offload.
            cpu_offload(model, execution_device=torch.device("cpu"), offload_buffers=True)
            assert model.proj_out.weight.device.type == "meta"
            assert torch.equal(model(**inputs).sample, expected)

    def test_ema(self, model, inputs, tmp_path):
        from diffusers.training_utils import EMAModel

        ema = EMAModel(model.parameters(), model_cls=MMAudioTransformer1DModel, model_config=model.config)
        ema.save_pretrained(tmp_path)
        loaded = EMAModel.from_pretrained(tmp_path, MMAudioTransformer1DModel)
        for a, b in zip(loaded.shadow_params, model.parameters(), strict=True):
            assert torch.equal(a, b)

    @pytest.mark.parametrize("targets", [["to_q", "to_v", "to_out.0"], ["ff.proj_in", "ff.proj_out"]])
    def test_lora(self, model, inputs, tmp_path, targets):
        with torch.no_grad():
            expected = model(**inputs).sample
            model.add_adapter(LoraConfig(r=2, target_modules=targets, init_lora_weights="gaussian"))
            torch.testing.assert_close(model(**inputs).sample, expected)  # B starts at zero
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.1)
            adapted = model(**inputs).sample
            assert relative_error(adapted, expected) > 1e-3
            # With an adapter, or after one, PyTorch multiplies with other kernels on some processors, which round
            # otherwise.
            torch.testing.assert_close(model(**inputs, attention_kwargs={"scale": 0.0}).sample, expected)

            model.save_lora_adapter(tmp_path)
            model.unload_lora()
            torch.testing.assert_close(model(**inputs).sample, expected)
            model.load_lora_adapter(tmp_path, prefix=None, use_safetensors=True)
            torch.testing.assert_close(model(**inputs).sample, adapted)

    def test_layer_skip(self, model, inputs):
        with torch.no_grad():
            expected = model(**inputs).sample
            apply_layer_skip(model, LayerSkipConfig(indices=[0], fqn="transformer_blocks"))
            apply_layer_skip(model, LayerSkipConfig(indices=[1], fqn="single_transformer_blocks"))
            assert relative_error(model(**inputs).sample, expected) > 1e-3


class TestCaches:
    """Each cache of diffusers really skips work, counted on the blocks, and leaves no trace when disabled."""

    NUM_STEPS = 6

    def config(self, name):
        # The attention caches of diffusers ask for the time on the scale of training timesteps, 1000 to 0.
        def current_timestep():
            return 1000 * (1 - self.step / self.NUM_STEPS)

        match name:
            case "first_block":
                return FirstBlockCacheConfig(threshold=10.0)
            case "pyramid_attention_broadcast":
                return PyramidAttentionBroadcastConfig(
                    spatial_attention_block_skip_range=2, current_timestep_callback=current_timestep
                )
            case "taylorseer":
                return TaylorSeerCacheConfig(cache_interval=2, disable_cache_before_step=2, max_order=1)
            case "mag":
                ratios = torch.ones(self.NUM_STEPS)
                return MagCacheConfig(threshold=10.0, num_inference_steps=self.NUM_STEPS, mag_ratios=ratios)
            case "faster":
                return FasterCacheConfig(
                    spatial_attention_block_skip_range=2,
                    is_guidance_distilled=True,
                    current_timestep_callback=current_timestep,
                    attention_weight_callback=lambda _: 0.3,
                )

    def run(self, model, inputs):
        outputs = []
        for step in range(self.NUM_STEPS):
            self.step = step
            with torch.no_grad(), model.cache_context("cond_uncond"):
                timestep = torch.full((2,), step / self.NUM_STEPS)
                outputs.append(model(**(inputs | {"timestep": timestep})).sample)
        return torch.stack(outputs)

    @pytest.mark.parametrize("name", ["first_block", "pyramid_attention_broadcast", "taylorseer", "mag", "faster"])
    def test_cache_skips_work(self, model, inputs, name):
        num_attention_calls = 0

        def count(*_):
            nonlocal num_attention_calls
            num_attention_calls += 1

        for block in [*model.transformer_blocks, *model.single_transformer_blocks]:
            block.attn.to_q.register_forward_hook(count)
        expected = self.run(model, inputs)
        full_calls, num_attention_calls = num_attention_calls, 0
        assert full_calls == 4 * self.NUM_STEPS

        model.enable_cache(self.config(name))
        cached = self.run(model, inputs)
        assert num_attention_calls < full_calls
        assert torch.isfinite(cached).all()
        assert torch.equal(cached[0], expected[0])
        assert not torch.equal(cached, expected)

        model.disable_cache()
        torch.testing.assert_close(self.run(model, inputs), expected)
