# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`VideoToAudioPipeline` through its public interface, with tiny real networks."""

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FirstBlockCacheConfig,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    PyramidAttentionBroadcastConfig,
    UniPCMultistepScheduler,
)
from diffusers.callbacks import PipelineCallback
from diffusers.hooks import apply_group_offloading
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image

from deepaudio_diffusers import (
    FlowMatchGridEulerScheduler,
    FlowMatchGridMidpointScheduler,
    FlowMatchGridMultistepScheduler,
    VideoFeatures,
    VideoToAudioPipeline,
)
from deepaudio_diffusers.errors import CheckpointError, GenerationError, InputError
from tests.tiny import CLIP_DIM, LATENT_CHANNELS, SYNC_DIM, TEXT_DIM, TEXT_LENGTH, tiny_components, tiny_pipeline


LENGTH_IN_S = 0.8
NUM_SAMPLES = 12800
NUM_LATENTS, NUM_CLIP_TOKENS, NUM_SYNC_TOKENS = 25, 6, 8
STEPS = {"num_inference_steps": 3}


def frames(seed: int = 0, num_frames: int = 20) -> np.ndarray:
    """A clip of noise, 0.8 s at 25 frames per second, of shape `(num_frames, 36, 64, 3)`."""
    return np.random.default_rng(seed).integers(0, 256, (num_frames, 36, 64, 3), dtype=np.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def shared_pipe():
    """For tests that leave the pipeline as they found it."""
    return tiny_pipeline()


@pytest.fixture
def pipe():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def features(shared_pipe):
    return shared_pipe.encode_video(frames(), fps=25)


@pytest.fixture(scope="module")
def fine_latents(shared_pipe, features):
    """The solution that every scheduler approaches."""
    return generate(shared_pipe, video_features=features, num_inference_steps=100, output_type="latent")


def generate(pipe, **kwargs):
    arguments = {"prompt": "a drum", "generator": generator(), **STEPS} | kwargs
    return pipe(**arguments).audios


class TestTasks:
    @pytest.mark.parametrize(
        "inputs",
        [
            {"video": frames(), "fps": 25, "prompt": "a drum"},
            {"video": frames(), "fps": 25},
            {"prompt": "a drum", "audio_length_in_s": LENGTH_IN_S},
            {"image": Image.fromarray(frames()[0]), "prompt": "a drum", "audio_length_in_s": LENGTH_IN_S},
            {"image": Image.fromarray(frames()[0]), "audio_length_in_s": LENGTH_IN_S},
        ],
        ids=["video+prompt", "video", "prompt", "image+prompt", "image"],
    )
    def test_inputs(self, shared_pipe, inputs):
        result = shared_pipe(**inputs, generator=generator(), **STEPS)
        assert result.audios.shape == (1, 1, NUM_SAMPLES)
        assert result.audios.dtype == np.float32
        assert result.sampling_rate == 16000
        assert result.audios.std() > 1e-4

    def test_every_input_matters(self, shared_pipe):
        video = {"video": frames(), "fps": 25}
        reference = generate(shared_pipe, **video)
        for change in (
            {"video": frames(1)},
            {"prompt": "a flute"},
            {"negative_prompt": "a flute"},
            {"generator": generator(1)},
            {"guidance_scale": 2.0},
            {"prompt_guidance_scale": 6.0},
        ):
            assert not np.array_equal(generate(shared_pipe, **(video | change)), reference), change
        assert np.array_equal(generate(shared_pipe, **video), reference)

    @pytest.mark.parametrize("length_in_s", [0.7, 1.0, 2.5])
    def test_length_is_exact(self, shared_pipe, length_in_s):
        audio = generate(shared_pipe, audio_length_in_s=length_in_s)
        assert audio.shape[-1] == round(16000 * length_in_s)

    def test_default_length_without_a_clip(self, shared_pipe):
        assert generate(shared_pipe, num_inference_steps=1).shape[-1] == 8 * 16000

    def test_part_of_a_clip(self, shared_pipe):
        clip = np.concatenate([frames(0), frames(1)])
        part = generate(shared_pipe, video=clip, fps=25, start_in_s=0.8, audio_length_in_s=0.8)
        alone = generate(shared_pipe, video=frames(1), fps=25)
        np.testing.assert_allclose(part, alone, atol=1e-5)

    def test_a_file(self, shared_pipe):
        clip = Path(__file__).parents[2] / "examples" / "assets" / "bouncing-ball.mp4"
        audio = generate(shared_pipe, video=clip, num_inference_steps=1)
        assert audio.shape == (1, 1, 4 * 16000)


class TestBatches:
    def test_clips_and_prompts_pair_up(self, shared_pipe):
        seeds = [3, 4]
        batch = generate(
            shared_pipe,
            video=[frames(0), frames(1)],
            fps=25,
            prompt=["a drum", "a much longer text about a flute"],
            negative_prompt=["music", "speech"],
            generator=[generator(seed) for seed in seeds],
        )
        for i, (prompt, negative_prompt) in enumerate(
            [("a drum", "music"), ("a much longer text about a flute", "speech")]
        ):
            alone = generate(
                shared_pipe,
                video=frames(i),
                fps=25,
                prompt=prompt,
                negative_prompt=negative_prompt,
                generator=generator(seeds[i]),
            )
            # Matrix products over few rows are summed in another order than over many, which the vocoder passes on.
            np.testing.assert_allclose(batch[i : i + 1], alone, atol=2e-5)

    def test_one_clip_for_many_prompts(self, shared_pipe, features):
        batch = generate(
            shared_pipe, video_features=features, prompt=["a drum", "a flute"], generator=[generator(0), generator(0)]
        )
        alone = generate(shared_pipe, video_features=features, prompt="a flute")
        np.testing.assert_allclose(batch[1:], alone, atol=2e-5)
        assert np.abs(batch[0] - batch[1]).max() > 1e-4

    def test_takes(self, shared_pipe, features):
        takes = generate(
            shared_pipe,
            video_features=features,
            prompt=["a drum", "a flute"],
            num_waveforms_per_prompt=2,
            generator=[generator(seed) for seed in range(4)],
        )
        assert takes.shape == (4, 1, NUM_SAMPLES)
        alone = generate(shared_pipe, video_features=features, prompt="a flute", generator=generator(2))
        np.testing.assert_allclose(takes[2:3], alone, atol=2e-5)

    def test_unequal_lengths_are_refused(self, shared_pipe):
        with pytest.raises(InputError, match=r"0\.800, 1\.600 s.*audio_length_in_s=0\.800"):
            shared_pipe([frames(), frames(num_frames=40)], fps=25, **STEPS)


class TestFeatures:
    def test_shapes_and_length(self, features):
        assert features.clip_features.shape == (1, NUM_CLIP_TOKENS, CLIP_DIM)
        assert features.sync_features.shape == (1, NUM_SYNC_TOKENS, SYNC_DIM)
        assert features.audio_length_in_s == pytest.approx(LENGTH_IN_S)
        torch.testing.assert_close(features.clip_features.norm(dim=-1), torch.ones(1, NUM_CLIP_TOKENS))

    def test_features_can_be_kept(self, features, tmp_path):
        torch.save(features, tmp_path / "features.pt")
        loaded = torch.load(tmp_path / "features.pt", weights_only=True)
        assert torch.equal(loaded.sync_features, features.sync_features)
        assert loaded.audio_length_in_s == features.audio_length_in_s

    def test_features_in_place_of_video(self, shared_pipe, features):
        expected = generate(shared_pipe, video=frames(), fps=25)
        assert np.array_equal(generate(shared_pipe, video_features=features), expected)

    def test_embeds_in_place_of_prompts(self, shared_pipe, features):
        expected = generate(shared_pipe, video_features=features, negative_prompt="speech")
        embeds = {
            "prompt": None,
            "prompt_embeds": shared_pipe.encode_prompt("a drum"),
            "negative_prompt_embeds": shared_pipe.encode_prompt("speech"),
        }
        assert embeds["prompt_embeds"].shape == (1, TEXT_LENGTH, TEXT_DIM)
        assert np.array_equal(generate(shared_pipe, video_features=features, **embeds), expected)

    def test_equal_frames_are_encoded_once(self, pipe):
        encoded = {"image_encoder": 0, "video_encoder": 0}
        for name in encoded:
            getattr(pipe, name).register_forward_pre_hook(
                lambda _, args, name=name: encoded.__setitem__(name, encoded[name] + len(args[0]))
            )
        still = np.repeat(frames(num_frames=1), 3, axis=0)
        features = pipe.encode_video(still, fps=2)  # 1.5 s, three different frames that look alike to nobody
        assert encoded == {"image_encoder": 3, "video_encoder": 3}
        assert features.clip_features.shape == (1, 12, CLIP_DIM)
        assert features.sync_features.shape == (1, 3 * 8, SYNC_DIM)

    def test_content_without_timing(self, shared_pipe, features):
        without_sync = dataclasses.replace(features, sync_features=None)
        with_sync = generate(shared_pipe, video_features=features)
        assert not np.array_equal(generate(shared_pipe, video_features=without_sync), with_sync)

    def test_long_prompts_are_cut_with_a_warning(self, shared_pipe, monkeypatch):
        warnings = []
        monkeypatch.setattr("deepaudio_diffusers.pipelines.pipeline_video_to_audio.logger.warning", warnings.append)
        embeds = shared_pipe.encode_prompt(["drum " * 20, "drum"])
        assert embeds.shape == (2, TEXT_LENGTH, TEXT_DIM)
        assert warnings == [
            "The prompt 'drum drum drum drum drum drum drum drum '... has 82 tokens; CLIP reads the first 40."
        ]

    def test_prompts_are_cleaned(self, shared_pipe):
        typed, pasted = shared_pipe.encode_prompt(['a dog\'s "bark" & howl', "a dog’s “bark” &amp; howl"])
        assert torch.equal(typed, pasted)

    def test_prompts_encode_alone(self):
        components = tiny_components()
        text_parts = {name: components[name] for name in ("tokenizer", "text_encoder")}
        without = dict.fromkeys(components) | text_parts
        assert VideoToAudioPipeline(**without).encode_prompt("a drum").shape == (1, TEXT_LENGTH, TEXT_DIM)

    def test_encoders_are_optional(self, shared_pipe, features):
        components = tiny_components() | dict.fromkeys(VideoToAudioPipeline._optional_components)
        pipe = VideoToAudioPipeline(**components)
        embeds = shared_pipe.encode_prompt("a drum")
        audio = generate(pipe, video_features=features, prompt=None, prompt_embeds=embeds)
        assert np.array_equal(audio, generate(shared_pipe, video_features=features))
        with pytest.raises(InputError, match="`image_encoder` and `video_encoder`"):
            pipe(frames(), fps=25)
        with pytest.raises(InputError, match="`text_encoder`"):
            pipe(prompt="a drum")
        with pytest.raises(InputError, match="`image_encoder`"):
            pipe(image=Image.fromarray(frames()[0]))


class TestSampling:
    @pytest.mark.parametrize(
        ("scheduler", "num_evaluations"),
        [
            (FlowMatchGridEulerScheduler(), 12),
            (FlowMatchGridEulerScheduler(grid="sway"), 12),
            (FlowMatchGridEulerScheduler(grid="epss"), 12),
            (FlowMatchGridMidpointScheduler(), 24),
            (FlowMatchGridMultistepScheduler(), 12),
            (FlowMatchEulerDiscreteScheduler(), 12),
            (FlowMatchHeunDiscreteScheduler(), 23),
            (UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0), 12),
            (
                DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0),
                12,
            ),
        ],
    )
    def test_schedulers(self, pipe, features, fine_latents, scheduler, num_evaluations):
        calls = []
        pipe.transformer.register_forward_hook(lambda *_: calls.append(1))
        pipe.scheduler = scheduler
        latents = generate(pipe, video_features=features, num_inference_steps=12, output_type="latent")
        assert len(calls) == num_evaluations == pipe.num_timesteps
        # Another way to the same place: twelve steps stay near the fine solution, half the noise would not.
        assert (latents - fine_latents).norm() / fine_latents.norm() < 0.2

    @pytest.mark.parametrize("scheduler_class", [UniPCMultistepScheduler, EulerDiscreteScheduler])
    def test_schedulers_for_other_diffusions_are_refused(self, pipe, features, scheduler_class):
        pipe.scheduler = scheduler_class.from_config(pipe.scheduler.config)
        with pytest.raises(InputError, match=rf"{scheduler_class.__name__} for another kind of diffusion"):
            generate(pipe, video_features=features)

    def test_a_scheduler_without_own_grids(self, pipe, features):
        pipe.scheduler = FlowMatchHeunDiscreteScheduler()
        with pytest.raises(InputError, match="`sigmas` was given, but FlowMatchHeunDiscreteScheduler"):
            generate(pipe, video_features=features, sigmas=[1.0, 0.5])

    def test_noise_of_the_scheduler_follows_the_seed(self, pipe, features):
        pipe.scheduler = FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)
        takes = [generate(pipe, video_features=features, generator=generator(seed)) for seed in (0, 0, 1)]
        assert np.array_equal(takes[0], takes[1])
        assert not np.array_equal(takes[0], takes[2])

    def test_own_grid(self, shared_pipe, features):
        uniform = [1 - i / 3 for i in range(3)]
        expected = generate(shared_pipe, video_features=features)
        own = generate(shared_pipe, video_features=features, sigmas=uniform, num_inference_steps=25)
        np.testing.assert_allclose(own, expected, atol=1e-5)

    def test_latents_in_and_out(self, shared_pipe, features):
        noise = torch.randn(1, NUM_LATENTS, LATENT_CHANNELS, generator=generator())
        given = generate(shared_pipe, video_features=features, latents=noise)
        assert np.array_equal(given, generate(shared_pipe, video_features=features))
        latents = generate(shared_pipe, video_features=features, output_type="latent")
        assert latents.shape == noise.shape
        decoded = shared_pipe.decode_latents(latents, NUM_SAMPLES)
        assert np.array_equal(decoded.numpy(), given)

    def test_output_types(self, shared_pipe, features):
        array = generate(shared_pipe, video_features=features)
        tensor = generate(shared_pipe, video_features=features, output_type="pt")
        assert isinstance(tensor, torch.Tensor)
        assert np.array_equal(tensor.numpy(), array)
        as_tuple = shared_pipe(
            video_features=features, prompt="a drum", generator=generator(), return_dict=False, **STEPS
        )
        assert np.array_equal(as_tuple[0], array)

    def test_guidance_of_one_is_no_guidance(self, pipe, features):
        sets = []
        pipe.transformer.register_forward_hook(lambda _, args, output: sets.append(len(output[0])))
        generate(pipe, video_features=features, guidance_scale=1.0)
        generate(pipe, video_features=features, guidance_scale=4.5)
        assert sets == [1, 1, 1, 2, 2, 2]

    def test_prompt_guidance_is_a_third_set_where_there_is_a_prompt(self, pipe, features):
        sets = []
        pipe.transformer.register_forward_hook(lambda _, args, output: sets.append(len(output[0])))
        generate(pipe, video_features=features, prompt_guidance_scale=6.0)
        generate(pipe, video_features=features, prompt=None, prompt_guidance_scale=6.0)
        generate(pipe, video_features=features, guidance_scale=1.0, prompt_guidance_scale=6.0)
        assert sets == [3, 3, 3, 2, 2, 2, 1, 1, 1]

    @pytest.mark.parametrize("negative", [{}, {"negative_prompt": "a flute"}])
    def test_equal_prompt_guidance_is_guidance_of_both_as_one(self, shared_pipe, features, negative):
        as_one = generate(shared_pipe, video_features=features, guidance_scale=3.0, **negative)
        apart = generate(
            shared_pipe, video_features=features, guidance_scale=3.0, prompt_guidance_scale=3.0, **negative
        )
        # The same sum in another order.
        np.testing.assert_allclose(apart, as_one, atol=1e-5)

    def test_without_strength_the_prompt_counts_for_nothing(self, shared_pipe, features):
        ignored = generate(shared_pipe, video_features=features, guidance_scale=3.0, prompt_guidance_scale=0.0)
        unasked = generate(shared_pipe, video_features=features, guidance_scale=3.0, prompt=None)
        np.testing.assert_allclose(ignored, unasked, atol=1e-5)

    def test_prompt_guidance_of_a_batch_is_that_of_its_items(self, shared_pipe, features):
        prompts, negative_prompts = ["a drum", "a flute"], ["rain", "wind"]
        together = generate(
            shared_pipe,
            video_features=features,
            prompt=prompts,
            negative_prompt=negative_prompts,
            num_waveforms_per_prompt=2,
            generator=[generator(seed) for seed in range(4)],
            prompt_guidance_scale=6.0,
        )
        for i, audio in enumerate(together):
            alone = generate(
                shared_pipe,
                video_features=features,
                prompt=prompts[i // 2],
                negative_prompt=negative_prompts[i // 2],
                generator=generator(i),
                prompt_guidance_scale=6.0,
            )
            np.testing.assert_allclose(audio, alone[0], atol=1e-5)

    def test_conditions_are_computed_once(self, pipe, features):
        calls = []
        pipe.transformer.clip_embedder.register_forward_hook(lambda *_: calls.append(1))
        generate(pipe, video_features=features, num_inference_steps=5)
        assert len(calls) == 2  # with the clip and without

    def test_signature_is_that_of_diffusers(self):
        parameters = inspect.signature(VideoToAudioPipeline.__call__).parameters
        names = {
            "prompt",
            "negative_prompt",
            "audio_length_in_s",
            "num_inference_steps",
            "guidance_scale",
            "num_waveforms_per_prompt",
            "generator",
            "latents",
            "output_type",
            "return_dict",
            "callback_on_step_end",
            "callback_on_step_end_tensor_inputs",
            "attention_kwargs",
        }
        assert names <= parameters.keys()
        assert all(p.default is not inspect.Parameter.empty for n, p in parameters.items() if n != "self")


class TestCallbacks:
    def test_callback_sees_and_changes_latents(self, shared_pipe, features):
        seen = []

        def callback(pipe, step, timestep, tensors):
            seen.append((step, float(timestep), tensors["latents"].shape))
            return {"latents": torch.zeros_like(tensors["latents"])} if step == 2 else {}

        latents = generate(shared_pipe, video_features=features, output_type="latent", callback_on_step_end=callback)
        assert torch.equal(latents, torch.zeros_like(latents))
        assert [step for step, *_ in seen] == [0, 1, 2]
        assert seen[0][1] == 1000
        assert seen[0][2] == (1, NUM_LATENTS, LATENT_CHANNELS)

    def test_callback_changes_guidance(self, pipe, features):
        sets = []
        pipe.transformer.register_forward_hook(lambda _, args, output: sets.append(len(output[0])))

        class CutOff(PipelineCallback):
            tensor_inputs = ["latents"]

            def callback_fn(self, pipeline, step_index, timestep, callback_kwargs):
                if step_index == 0:
                    pipeline._guidance_scale = 0.0
                return callback_kwargs

        generate(
            pipe, video_features=features, callback_on_step_end=CutOff(cutoff_step_ratio=None, cutoff_step_index=1)
        )
        assert sets == [2, 1, 1]

    def test_guidance_that_was_off_stays_off(self, pipe, features):
        def switch_on(pipe, step, timestep, tensors):
            pipe._guidance_scale = 4.5
            return {}

        unguided = generate(pipe, video_features=features, guidance_scale=1.0)
        switched = generate(pipe, video_features=features, guidance_scale=1.0, callback_on_step_end=switch_on)
        assert np.array_equal(switched, unguided)

    def test_guidance_can_end_under_a_cache(self, pipe, features):
        def switch_off(pipe, step, timestep, tensors):
            pipe._guidance_scale = 0.0
            return {}

        pipe.transformer.enable_cache(FirstBlockCacheConfig(threshold=10.0))
        generate(pipe, video_features=features, num_inference_steps=4, callback_on_step_end=switch_off)

    def test_an_aborted_call_leaves_no_trace(self, pipe, features):
        def fail(pipe, step, timestep, tensors):
            raise KeyboardInterrupt

        pipe.transformer.enable_cache(
            PyramidAttentionBroadcastConfig(
                spatial_attention_block_skip_range=2, current_timestep_callback=lambda: pipe.current_timestep
            )
        )
        expected = generate(pipe, video_features=features, num_inference_steps=6)
        with pytest.raises(KeyboardInterrupt):
            generate(pipe, video_features=features, num_inference_steps=6, callback_on_step_end=fail)
        assert np.array_equal(generate(pipe, video_features=features, num_inference_steps=6), expected)

    def test_interrupt(self, pipe, features):
        calls = []
        pipe.transformer.register_forward_hook(lambda *_: calls.append(1))

        def stop(pipe, step, timestep, tensors):
            pipe._interrupt = step == 1

        generate(pipe, video_features=features, num_inference_steps=10, callback_on_step_end=stop)
        assert len(calls) == 2


class TestDiffusersFeatures:
    def test_save_and_load(self, pipe, features, tmp_path):
        expected = generate(pipe, video_features=features)
        pipe.save_pretrained(tmp_path)
        loaded = VideoToAudioPipeline.from_pretrained(tmp_path)
        loaded.set_progress_bar_config(disable=True)
        # Loaded weights may lie elsewhere in memory, where vector instructions begin at another element.
        np.testing.assert_allclose(generate(loaded, video_features=features), expected, atol=1e-6)
        np.testing.assert_allclose(generate(loaded, video=frames(), fps=25), expected, atol=1e-6)

    def test_save_and_load_without_encoders(self, features, tmp_path):
        components = tiny_components() | dict.fromkeys(VideoToAudioPipeline._optional_components)
        VideoToAudioPipeline(**components).save_pretrained(tmp_path)
        loaded = VideoToAudioPipeline.from_pretrained(tmp_path)
        assert loaded.image_encoder is None
        assert generate(loaded, video_features=features, prompt=None).shape == (1, 1, NUM_SAMPLES)

    def test_variant_and_dtype(self, pipe, tmp_path):
        pipe.save_pretrained(tmp_path, variant="fp16")
        loaded = VideoToAudioPipeline.from_pretrained(
            tmp_path, variant="fp16", dtype={"transformer": torch.bfloat16, "default": torch.float32}
        )
        assert loaded.transformer.dtype == torch.bfloat16
        assert loaded.vae.dtype == torch.float32

    def test_bfloat16(self, pipe, features, tmp_path):
        expected = generate(pipe, video_features=features, output_type="latent")
        pipe.save_pretrained(tmp_path)
        half = VideoToAudioPipeline.from_pretrained(tmp_path, dtype=torch.bfloat16)
        half.set_progress_bar_config(disable=True)
        latents = generate(half, video=frames(), fps=25, output_type="latent")
        assert latents.dtype == torch.float32
        assert (latents - expected).norm() / expected.norm() < 0.1
        assert generate(half, video=frames(), fps=25).dtype == np.float32

    @pytest.mark.parametrize("offload", ["model", "sequential", "leaf_level", "block_level"])
    def test_offload(self, pipe, offload, tmp_path):
        expected = generate(pipe, video=frames(), fps=25)
        # The device to compute on is the CPU here too. What is shown is that every weight is fetched when it is
        # needed: those that are not fetched are on the meta device, or hold garbage while they are on disk.
        modules = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
        if offload == "model":
            pipe.enable_model_cpu_offload(device="cpu")
        elif offload == "sequential":
            # `enable_sequential_cpu_offload` asks accelerate to move buffers too, which fails between CPU and CPU.
            for module in modules.values():
                cpu_offload(module, torch.device("cpu"), offload_buffers=False)
            assert pipe.transformer.proj_out.weight.device.type == "meta"
        else:
            # Not the VAE: diffusers' class reads buffers outside `forward`, where offloading cannot see it.
            for name in modules.keys() - {"vae"}:
                apply_group_offloading(
                    modules[name],
                    onload_device=torch.device("cpu"),
                    offload_type=offload,
                    num_blocks_per_group=1 if offload == "block_level" else None,
                    offload_to_disk_path=str(tmp_path / name),
                )
        for _ in range(2):
            np.testing.assert_allclose(generate(pipe, video=frames(), fps=25), expected, atol=1e-6)

    @pytest.mark.parametrize(
        "config",
        [FirstBlockCacheConfig(threshold=10.0), PyramidAttentionBroadcastConfig(spatial_attention_block_skip_range=2)],
    )
    def test_caches(self, pipe, features, config):
        expected = generate(pipe, video_features=features, num_inference_steps=6)
        if isinstance(config, PyramidAttentionBroadcastConfig):
            config.current_timestep_callback = lambda: pipe.current_timestep
        pipe.transformer.enable_cache(config)
        cached = generate(pipe, video_features=features, num_inference_steps=6)
        assert not np.array_equal(cached, expected)
        pipe.transformer.disable_cache()
        assert np.array_equal(generate(pipe, video_features=features, num_inference_steps=6), expected)

    def test_lora(self, pipe, features, tmp_path):
        expected = generate(pipe, video_features=features)
        pipe.transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_out.0"], init_lora_weights=False))
        adapted = generate(pipe, video_features=features)
        assert not np.array_equal(adapted, expected)
        VideoToAudioPipeline.save_lora_weights(
            tmp_path,
            transformer_lora_layers=get_peft_model_state_dict(pipe.transformer),
            transformer_lora_adapter_metadata=pipe.transformer.peft_config["default"].to_dict(),
        )
        pipe.unload_lora_weights()
        assert np.array_equal(generate(pipe, video_features=features), expected)

        pipe.load_lora_weights(tmp_path, adapter_name="foley")
        assert pipe.get_active_adapters() == ["foley"]
        assert np.array_equal(generate(pipe, video_features=features), adapted)
        off = generate(pipe, video_features=features, attention_kwargs={"scale": 0.0})
        np.testing.assert_allclose(off, expected, atol=1e-5)
        pipe.set_adapters(["foley"], adapter_weights=[0.5])
        half = generate(pipe, video_features=features)
        assert not np.array_equal(half, adapted)
        pipe.set_adapters(["foley"], adapter_weights=[1.0])
        pipe.fuse_lora()
        np.testing.assert_allclose(generate(pipe, video_features=features), adapted, atol=1e-5)
        pipe.unfuse_lora()
        pipe.unload_lora_weights()
        np.testing.assert_allclose(generate(pipe, video_features=features), expected, atol=1e-5)

    def test_foreign_lora_is_refused(self, pipe):
        with pytest.raises(CheckpointError, match=r"unet\.lora_A"):
            pipe.load_lora_weights({"unet.lora_A": torch.zeros(1)})

    def test_components_make_another_pipeline(self, shared_pipe):
        assert VideoToAudioPipeline(**shared_pipe.components).transformer is shared_pipe.transformer
        assert VideoToAudioPipeline.from_pipe(shared_pipe).transformer is shared_pipe.transformer

    def test_progress_bar(self, pipe, features, capfd):
        pipe.set_progress_bar_config(disable=False)
        generate(pipe, video_features=features)
        assert "3/3" in capfd.readouterr().err


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "Nothing to make sound for"),
            ({"video": frames(), "fps": 25, "image": Image.new("RGB", (8, 8))}, "`video` and `image`"),
            ({"prompt": ["a", 3]}, "expected a string or a list of strings"),
            ({"prompt": []}, "expected a string or a list of strings"),
            ({"prompt": "a", "prompt_embeds": torch.zeros(1, TEXT_LENGTH, TEXT_DIM)}, "`prompt` and `prompt_embeds`"),
            ({"prompt_embeds": torch.full((1, TEXT_LENGTH, TEXT_DIM), torch.nan)}, "`prompt_embeds` contains NaN"),
            ({"prompt_embeds": torch.zeros(1, 15, 20)}, r"`prompt_embeds` has shape \(1, 15, 20\)"),
            ({"prompt_embeds": np.zeros((1, 40, 20))}, "`prompt_embeds` is of type ndarray"),
            ({"video_features": (None, None, 1.0)}, "`video_features` is of type tuple"),
            ({"prompt": "a", "guidance_scale": float("nan")}, "`guidance_scale` is nan"),
            ({"prompt": "a", "guidance_scale": None}, "`guidance_scale` is None"),
            ({"prompt": "a", "prompt_guidance_scale": float("inf")}, "`prompt_guidance_scale` is inf"),
            ({"prompt": "a", "num_inference_steps": True}, "`num_inference_steps` is True"),
            ({"prompt": "a", "generator": 42}, "`generator` is 42"),
            ({"prompt": "a", "latents": torch.full((1, 250, 8), torch.nan)}, "`latents` contains NaN"),
            ({"video": [frames()] * 2, "fps": 25, "prompt": ["a"] * 3}, "`video` has 2 items for a batch of 3"),
            ({"prompt": "a", "num_inference_steps": 0}, "`num_inference_steps` is 0"),
            ({"prompt": "a", "num_inference_steps": 2.5}, r"`num_inference_steps` is 2\.5"),
            ({"prompt": "a", "num_waveforms_per_prompt": 0}, "`num_waveforms_per_prompt` is 0"),
            ({"prompt": "a", "audio_length_in_s": 0.3}, r"0\.3"),
            ({"prompt": "a", "audio_length_in_s": 0}, r"`audio_length_in_s`|duration is 0"),
            ({"prompt": "a", "audio_length_in_s": float("nan")}, "nan"),
            ({"prompt": "a", "output_type": "wav"}, "`output_type` is 'wav'"),
            ({"prompt": "a", "generator": [generator()] * 2}, "list of 2; expected one for each of 1"),
            ({"prompt": "a", "latents": torch.zeros(1, 2, 3)}, r"`latents` has shape \(1, 2, 3\)"),
            ({"prompt": "a", "negative_prompt": ["b", "c"]}, "`negative_prompt` has 2 items for a batch of 1"),
            ({"prompt": "a", "callback_on_step_end_tensor_inputs": ["noise"]}, r"has \['noise'\]"),
            ({"video": "no-such-file.mp4"}, r"no-such-file\.mp4"),
            ({"video": frames()}, "fps"),
            ({"video": frames(num_frames=10), "fps": 25}, r"0\.4"),
            ({"video": []}, "`video` is an empty list"),
            ({"prompt": "a", "fps": 25}, "`fps` and `start_in_s` belong to `video`"),
            (
                {"video_features": VideoFeatures(None, None, 1.0), "audio_length_in_s": 2.0},
                r"their own length of 1\.0 s",
            ),
            ({"image": "no-such-file.png"}, r"no-such-file\.png"),
        ],
    )
    def test_arguments(self, shared_pipe, arguments, message):
        with pytest.raises(ValueError, match=message) as error:
            shared_pipe(**(STEPS | arguments))
        assert type(error.value).__module__ == "deepaudio_diffusers.errors"

    @pytest.mark.parametrize("name", ["clip_features", "sync_features"])
    def test_nan_features(self, shared_pipe, features, name):
        broken = dataclasses.replace(features, **{name: getattr(features, name) * torch.nan})
        with pytest.raises(InputError, match=rf"`video_features\.{name}` contains NaN"):
            generate(shared_pipe, video_features=broken)

    def test_features_of_another_length(self, shared_pipe, features):
        longer = VideoFeatures(features.clip_features, features.sync_features, 2.0)
        with pytest.raises(InputError, match=r"`clip_features` has shape .*expected \(batch_size, 16, 24\)"):
            generate(shared_pipe, video_features=longer)

    def test_nan_audio_is_never_returned(self, pipe, features):
        with torch.no_grad():
            pipe.vocoder.conv_post.weight.fill_(torch.nan)
        with pytest.raises(GenerationError, match="NaN"):
            generate(pipe, video_features=features)
