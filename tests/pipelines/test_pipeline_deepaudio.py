# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`DeepAudioPipeline` through its public interface, with tiny real networks."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from diffusers.hooks import apply_group_offloading
from peft import LoraConfig

from deepaudio_diffusers import DeepAudioPipeline, FlowMatchGridMidpointScheduler
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.audio import energy_contour
from tests.tiny import tiny_deepaudio_components, tiny_deepaudio_pipeline


LENGTH_IN_S = 0.8
SPEECH_RATE, SOUND_RATE = 24000, 16000
STEPS = {"num_inference_steps": 2, "speech_num_inference_steps": 2}
CLIP = Path(__file__).parents[2] / "examples" / "assets" / "bouncing-ball.mp4"
TASKS = ("video_to_audio", "video_to_speech", "text_to_speech", "soundtrack")


def frames(seed: int = 0, num_frames: int = 20) -> np.ndarray:
    """A clip of noise, 0.8 s at 25 frames per second."""
    return np.random.default_rng(seed).integers(0, 256, (num_frames, 36, 64, 3), dtype=np.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def choose(pipe, task: str) -> None:
    """Make the gate choose a task whatever it reads."""
    index = pipe.gate.config.label2id[task]
    with torch.no_grad():
        pipe.gate.mlp.proj_out.weight.zero_()
        pipe.gate.mlp.proj_out.bias.copy_(torch.eye(4)[index] * 5)


@pytest.fixture(scope="module")
def shared_pipe():
    """For tests that leave the pipeline as they found it."""
    return tiny_deepaudio_pipeline()


@pytest.fixture
def pipe():
    return tiny_deepaudio_pipeline()


@pytest.fixture(scope="module")
def voice(shared_pipe):
    noise = 0.2 * torch.randn(SPEECH_RATE * 3 // 2, generator=generator(7))
    return shared_pipe.text_to_speech.encode_voice(noise, "Any voice will do.", SPEECH_RATE)


@pytest.fixture(scope="module")
def inputs(voice):
    """All that any task may need."""
    return {"video": frames(), "fps": 25, "transcript": "Hello there.", "voice": voice}


def inputs_of(task: str, inputs: dict) -> dict:
    left_out = {"video_to_audio": {"transcript", "voice"}, "text_to_speech": {"video", "fps"}}.get(task, set())
    return {name: value for name, value in inputs.items() if name not in left_out}


def generate(pipe, inputs, task, **kwargs):
    return pipe(**({"task": task, "generator": generator()} | inputs_of(task, inputs) | STEPS | kwargs))


class TestTasks:
    def test_video_to_audio(self, shared_pipe, inputs):
        result = generate(shared_pipe, inputs, "video_to_audio", prompt="a drum")
        assert result.task == "video_to_audio"
        assert result.audios.shape == (1, 1, round(LENGTH_IN_S * SOUND_RATE))
        assert result.sampling_rate == SOUND_RATE
        assert result.speech is result.energy is result.task_probabilities is None
        expected = shared_pipe.video_to_audio(
            frames(), "a drum", fps=25, num_inference_steps=2, generator=generator()
        ).audios
        assert np.array_equal(result.audios, expected)

    def test_text_to_speech(self, shared_pipe, inputs, voice):
        result = generate(shared_pipe, inputs, "text_to_speech")
        assert result.ambience is result.energy is None
        assert result.sampling_rate == SPEECH_RATE
        expected = shared_pipe.text_to_speech(
            "Hello there.", voice=voice, num_inference_steps=2, generator=generator()
        ).audios
        assert np.array_equal(result.audios, expected)

    def test_video_to_speech_is_timed_by_the_contour_of_the_sound(self, shared_pipe, inputs, voice):
        result = generate(shared_pipe, inputs, "video_to_speech")
        assert result.audios.shape == (1, 1, round(LENGTH_IN_S * SPEECH_RATE))
        # The two halves by hand, with one generator through both.
        seed = generator()
        sound = shared_pipe.video_to_audio(
            frames(), fps=25, num_inference_steps=2, generator=seed, output_type="pt"
        ).audios[0]
        contour = energy_contour(sound, SOUND_RATE, LENGTH_IN_S)
        torch.testing.assert_close(result.energy, contour[None])
        speech = shared_pipe.text_to_speech(
            "Hello there.",
            voice=voice,
            energy=contour,
            audio_length_in_s=LENGTH_IN_S,
            num_inference_steps=2,
            generator=seed,
        ).audios
        np.testing.assert_allclose(result.audios, speech, atol=1e-6)

    def test_soundtrack_is_its_stems(self, shared_pipe, inputs):
        result = generate(shared_pipe, inputs, "soundtrack", prompt="a drum")
        assert result.sampling_rate == SPEECH_RATE
        assert result.audios.shape == result.ambience.shape == result.speech.shape
        assert result.audios.shape == (1, 1, round(LENGTH_IN_S * SPEECH_RATE))
        assert np.array_equal(result.audios, result.ambience + result.speech)
        assert np.abs(result.audios).max() <= 1
        for stem in (result.ambience, result.speech):
            assert stem.std() > 1e-4

    def test_the_balance_of_a_soundtrack(self, shared_pipe, inputs):
        def level(stem):
            return 20 * np.log10(stem.std())

        def balance(**kwargs):
            result = generate(shared_pipe, inputs, "soundtrack", **kwargs)
            return level(result.speech) - level(result.ambience)

        balanced = balance(ducking_in_db=0)
        assert balance(ducking_in_db=0, speech_above_ambience_in_db=20) - balanced == pytest.approx(14, abs=0.01)
        # The ambience is turned down where something is said, here nearly everywhere.
        assert balanced + 6 < balance(ducking_in_db=12) < balanced + 12.01
        as_made = generate(shared_pipe, inputs, "soundtrack", ducking_in_db=0, speech_above_ambience_in_db=None)
        assert np.array_equal(as_made.speech, generate(shared_pipe, inputs, "video_to_speech").audios)

    def test_soundtracks_are_guided_away_from_speech(self, shared_pipe, inputs):
        default = generate(shared_pipe, inputs, "soundtrack")
        named = generate(shared_pipe, inputs, "soundtrack", negative_prompt="speech, talking, human voice")
        other = generate(shared_pipe, inputs, "soundtrack", negative_prompt="music")
        assert np.array_equal(default.ambience, named.ambience)
        assert not np.array_equal(default.ambience, other.ambience)
        # The contour, and so the speech, is made without prompts.
        assert torch.equal(default.energy, other.energy)

    def test_prompt_guidance_is_that_of_whatever_has_a_prompt(self, shared_pipe, inputs):
        default = generate(shared_pipe, inputs, "soundtrack", prompt="a drum")
        guided = generate(shared_pipe, inputs, "soundtrack", prompt="a drum", prompt_guidance_scale=8.0)
        assert not np.array_equal(default.ambience, guided.ambience)
        assert torch.equal(default.energy, guided.energy)
        prompted = generate(shared_pipe, inputs, "video_to_speech", contour_prompt="talk")
        guided = generate(shared_pipe, inputs, "video_to_speech", contour_prompt="talk", prompt_guidance_scale=8.0)
        assert not torch.equal(prompted.energy, guided.energy)

    def test_a_file(self, shared_pipe, inputs):
        result = shared_pipe(
            CLIP,
            task="soundtrack",
            prompt="a ball",
            transcript="Look at that.",
            voice=inputs["voice"],
            generator=generator(),
            num_inference_steps=1,
            speech_num_inference_steps=1,
        )
        assert result.audios.shape == (1, 1, 4 * SPEECH_RATE)

    def test_part_of_a_file(self, shared_pipe, inputs):
        result = shared_pipe(
            CLIP,
            task="video_to_speech",
            transcript="Look.",
            voice=inputs["voice"],
            start_in_s=1.0,
            audio_length_in_s=1.25,
            num_inference_steps=1,
            speech_num_inference_steps=1,
        )
        assert result.audios.shape == (1, 1, round(1.25 * SPEECH_RATE))

    def test_features_instead_of_video(self, shared_pipe, inputs):
        features = shared_pipe.video_to_audio.encode_video(frames(), fps=25)
        for task in ("video_to_audio", "video_to_speech", "soundtrack"):
            expected = generate(shared_pipe, inputs, task).audios
            result = generate(shared_pipe, inputs, task, video=None, fps=None, video_features=features)
            np.testing.assert_allclose(result.audios, expected, atol=1e-6)


class TestTheActivatedParts:
    """Equations (1), (2), (8) and (10) of the paper, counted on the networks themselves."""

    NETWORKS = (
        "gate",
        "text_encoder",
        "image_encoder",
        "video_encoder",
        "transformer",
        "vae.vae.decoder",
        "vocoder",
        "speech_transformer",
        "speech_vocoder",
    )
    SOUND = {"image_encoder", "video_encoder", "transformer", "vae.vae.decoder", "vocoder"}
    SPEECH = {"speech_transformer", "speech_vocoder"}

    @pytest.mark.parametrize(
        ("task", "arguments", "expected"),
        [
            ("video_to_audio", {"prompt": "a drum"}, SOUND | {"text_encoder"}),
            ("video_to_audio", {}, SOUND),
            # The contour needs neither prompts nor their encoder.
            ("video_to_speech", {}, SOUND | SPEECH),
            ("text_to_speech", {}, SPEECH),
            ("soundtrack", {"prompt": "a drum"}, SOUND | SPEECH | {"text_encoder"}),
        ],
    )
    def test_activated_parts(self, pipe, inputs, task, arguments, expected):
        activated = {}
        for name in self.NETWORKS:
            module = getattr(pipe, name.split(".")[0])
            if "." in name:
                module = module.get_submodule(name.split(".", 1)[1])
            module.register_forward_hook(lambda *_, name=name: activated.__setitem__(name, activated.get(name, 0) + 1))
        generate(pipe, inputs, task, **arguments)
        assert activated.keys() == expected
        # The picture is looked at once, whatever it is used for.
        if "video_encoder" in expected:
            assert activated["video_encoder"] == 1

        activated.clear()
        choose(pipe, task)
        pipe(instruction="whatever", generator=generator(), **inputs_of(task, inputs), **STEPS, **arguments)
        assert activated.keys() == expected | {"gate"}


class TestInstructions:
    @pytest.mark.parametrize("task", TASKS)
    def test_the_gate_chooses(self, pipe, inputs, task):
        choose(pipe, task)
        arguments = inputs_of(task, inputs) | STEPS
        chosen = pipe(instruction="Do it.", generator=generator(), **arguments)
        assert chosen.task == task
        (probabilities,) = chosen.task_probabilities
        assert list(probabilities) == list(TASKS)
        assert sum(probabilities.values()) == pytest.approx(1)
        assert max(probabilities, key=probabilities.get) == task

    def test_the_contour_is_weighted_by_the_gate(self, pipe, inputs):
        """M_mof = G_v2s * M_v2a + G_tts * 0: between speech with the contour and speech without."""
        assert pipe.choose_task(None, "video_to_speech")[2] == [1.0]
        with torch.no_grad():
            pipe.gate.mlp.proj_out.weight.zero_()
            pipe.gate.mlp.proj_out.bias.copy_(torch.tensor([0.0, 0.5, 0.3, 0.1]).log())
        task, (probabilities,), (weight,) = pipe.choose_task("Dub it.", None)
        assert task == "video_to_speech"
        assert probabilities["text_to_speech"] == pytest.approx(1 / 3)
        assert weight == pytest.approx(2 / 3)

        heard = []
        encode = pipe.speech_transformer.encode_conditions
        pipe.speech_transformer.encode_conditions = lambda **kwargs: heard.append(kwargs["energy"]) or encode(**kwargs)
        pipe(instruction="Dub it.", generator=generator(), **inputs, **STEPS)
        pipe(task="video_to_speech", generator=generator(), **inputs, **STEPS)
        weighted, full = heard[0], heard[2]
        num_prompt_frames = inputs["voice"].mel.shape[0]
        torch.testing.assert_close(weighted[:, num_prompt_frames:], full[:, num_prompt_frames:] * 2 / 3)

    def test_a_very_sure_gate(self, pipe):
        with torch.no_grad():
            pipe.gate.mlp.proj_out.weight.zero_()
            pipe.gate.mlp.proj_out.bias.copy_(torch.tensor([200.0, 0.0, 0.0, 0.0]))
        assert pipe.choose_task("Whatever.", None)[::2] == ("video_to_audio", [1.0])

    def test_plain_speech_is_that_of_an_empty_contour(self, pipe, inputs, voice):
        silent = dataclasses.replace(voice, energy=torch.zeros_like(voice.energy))
        plain = generate(pipe, inputs, "text_to_speech", audio_length_in_s=LENGTH_IN_S)
        empty = pipe.text_to_speech(
            "Hello there.",
            voice=silent,
            energy=torch.zeros(75),
            audio_length_in_s=LENGTH_IN_S,
            num_inference_steps=2,
            generator=generator(),
        )
        assert np.array_equal(plain.audios, empty.audios)

    def test_one_task_for_a_batch(self, pipe, inputs):
        choose(pipe, "text_to_speech")
        result = pipe(
            instruction=["Read it.", "Say it."],
            transcript=["Hello.", "Good day."],
            voice=inputs["voice"],
            generator=generator(),
            **STEPS,
        )
        assert result.audios.shape[0] == 2

    def test_different_tasks_in_a_batch_are_refused(self, pipe):
        with torch.no_grad():
            # Makes the choice hang on the length of the text.
            pipe.gate.mlp.proj_out.weight.mul_(50)
        texts = [letter * count for letter in "abcdefgxyz" for count in (1, 5, 30)]
        chosen = {text: pipe.choose_task(text, None)[0] for text in texts}
        assert len(set(chosen.values())) > 1
        with pytest.raises(InputError, match="asks for different tasks: 'a' "):
            pipe.choose_task(texts, None)

    @pytest.mark.parametrize("instruction", ["", "  ", 3, [], [""]])
    def test_instructions_that_say_nothing(self, shared_pipe, instruction):
        with pytest.raises(InputError, match="`instruction` is"):
            shared_pipe(instruction=instruction)


class TestPlacement:
    def test_speech_fills_its_window_and_nothing_else(self, shared_pipe, inputs):
        result = generate(shared_pipe, inputs, "video_to_speech", speech_start_in_s=0.2, speech_end_in_s=0.7)
        speech = result.audios[0, 0]
        start, end = round(0.2 * SPEECH_RATE), round(0.7 * SPEECH_RATE)
        assert len(speech) == round(LENGTH_IN_S * SPEECH_RATE)
        assert not speech[:start].any()
        assert not speech[end:].any()
        assert speech[start + 200 : end - 200].std() > 1e-4
        # The contour is that of the whole clip all the same.
        assert torch.equal(result.energy, generate(shared_pipe, inputs, "video_to_speech").energy)

    def test_speech_is_where_the_contour_is(self, pipe, inputs):
        """A sound that is heard in the middle of the clip only."""
        sound_of = pipe.video_to_audio.decode_latents

        def faded(latents, num_samples):
            audio = sound_of(latents, num_samples)
            time_in_s = torch.arange(num_samples) / SOUND_RATE
            return audio * ((time_in_s > 0.25) & (time_in_s < 0.65))

        pipe.video_to_audio.decode_latents = faded
        result = generate(pipe, inputs, "video_to_speech", speech_placement="contour")
        heard = np.flatnonzero(result.audios[0, 0]) / SPEECH_RATE
        assert heard[0] == pytest.approx(0.25, abs=0.012)
        assert heard[-1] == pytest.approx(0.65, abs=0.012)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"speech_start_in_s": 0.5, "speech_end_in_s": 0.4}, r"`speech_start_in_s` is 0\.5"),
            ({"speech_start_in_s": -0.1}, "must begin before"),
            ({"speech_end_in_s": 0.9}, r"inside the clip of 0\.800 s"),
            ({"speech_placement": "middle"}, "`speech_placement` is 'middle'"),
            ({"speech_placement": "contour", "speech_start_in_s": 0.1}, "leave `speech_start_in_s`"),
            ({"speech_start_in_s": "1"}, "`speech_start_in_s` is '1'"),
            ({"speech_end_in_s": float("nan")}, "`speech_end_in_s` is nan"),
        ],
    )
    def test_windows_that_do_not_fit(self, shared_pipe, inputs, arguments, message):
        with pytest.raises(InputError, match=message):
            generate(shared_pipe, inputs, "video_to_speech", **arguments)


class TestMissingInputs:
    @pytest.mark.parametrize(
        ("task", "missing", "message"),
        [
            ("video_to_audio", ("video",), "needs `video` or `prompt`"),
            ("video_to_speech", ("video",), "needs `video`"),
            ("video_to_speech", ("transcript",), "needs `transcript`"),
            ("video_to_speech", ("voice",), "needs `reference_audio`"),
            ("text_to_speech", ("transcript", "voice"), "needs `transcript` and `reference_audio`"),
            ("soundtrack", ("video", "transcript", "voice"), "needs `video` and `transcript` and `reference_audio`"),
        ],
    )
    def test_the_task_and_what_it_needs_are_named(self, pipe, inputs, task, missing, message):
        arguments = {name: value for name, value in inputs.items() if name not in missing and name != "fps"}
        with pytest.raises(InputError, match=f"The task is '{task}', which {message}"):
            pipe(task=task, **arguments)
        choose(pipe, task)
        with pytest.raises(InputError, match=rf"understood as '{task}' \(p = 0\.98\), which {message}"):
            pipe(instruction="Do it.", **arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "Pass either `instruction`"),
            ({"task": "soundtrack", "instruction": "Do it."}, "Pass either `instruction`"),
            ({"task": "dub"}, "`task` is 'dub'; accepted are 'video_to_audio'"),
            ({"task": "video_to_audio", "prompt": "a", "output_type": "latent"}, "`output_type` is 'latent'"),
            ({"task": "video_to_audio", "prompt": "a", "ducking_in_db": 100}, "`ducking_in_db` is 100"),
            ({"task": "video_to_audio", "prompt": "a", "ducking_in_db": None}, "`ducking_in_db` is None"),
            ({"task": "video_to_audio", "prompt": "a", "speech_start_in_s": 1.0}, "'video_to_audio' has none"),
        ],
    )
    def test_arguments(self, shared_pipe, arguments, message):
        with pytest.raises(InputError, match=message):
            shared_pipe(**arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"transcript": ["a", "b"]}, "`transcript` has 2 items for 1 clips"),
            ({"transcript": 3}, "`transcript` is 3"),
            ({"transcript": "..."}, "without a letter or digit"),
            ({"transcript": "word " * 200}, "too short for the transcript"),
            ({"voice": "anna"}, "`voice` is 'anna'"),
            ({"speech_num_inference_steps": 0}, "`num_inference_steps` is 0"),
            ({"speech_start_in_s": 0.7, "speech_end_in_s": 0.7}, "must begin before"),
            ({"reference_audio": torch.zeros(48000)}, "Pass either `reference_audio`"),
            ({"voice": None, "reference_audio": torch.zeros(48000)}, "pass its `reference_sampling_rate`"),
        ],
    )
    def test_nothing_is_made_before_all_has_been_checked(self, pipe, inputs, arguments, message):
        calls = []
        pipe.transformer.register_forward_hook(lambda *_: calls.append(1))
        with pytest.raises(InputError, match=message):
            generate(pipe, inputs, "soundtrack", **arguments)
        assert calls == []

    @pytest.mark.parametrize("extra", [{"fps": 25}, {"start_in_s": 0.1}, {"audio_length_in_s": 0.5}])
    def test_features_have_their_own_time(self, shared_pipe, inputs, extra):
        features = shared_pipe.video_to_audio.encode_video(frames(), fps=25)
        arguments = {"video": None, "fps": None, "video_features": features} | extra
        with pytest.raises(InputError, match="leave"):
            generate(shared_pipe, inputs, "video_to_speech", **arguments)

    @pytest.mark.parametrize(
        ("absent", "task", "message"),
        [
            ("transformer", "video_to_audio", "has no `transformer` for sound"),
            ("vae", "video_to_audio", "has no `vae` for sound"),
            ("speech_transformer", "text_to_speech", "has no `speech_transformer` for speech"),
            ("speech_vocoder", "text_to_speech", "has no `speech_vocoder` for speech"),
        ],
    )
    def test_each_half_may_be_absent(self, inputs, absent, task, message):
        pipe = DeepAudioPipeline(**(tiny_deepaudio_components() | {absent: None}))
        pipe.set_progress_bar_config(disable=True)
        with pytest.raises(InputError, match=message):
            generate(pipe, inputs, task)
        other = {"video_to_audio": "text_to_speech", "text_to_speech": "video_to_audio"}[task]
        assert generate(pipe, inputs, other).audios.std() > 0
        setattr(pipe, absent, tiny_deepaudio_components()[absent])
        assert generate(pipe, inputs, task).audios.std() > 0

    def test_the_gate_may_be_absent(self, inputs):
        pipe = DeepAudioPipeline(**(tiny_deepaudio_components() | {"gate": None}))
        with pytest.raises(InputError, match="`instruction` needs the `gate`"):
            pipe(instruction="Dub it.", **inputs)

    @pytest.mark.parametrize(
        ("instruction", "message"),
        [
            ("", "in a few words"),
            (" \n", "in a few words"),
            (7, "expected a string"),
            ("dub " * 600, "reads 512 at most"),
        ],
    )
    def test_an_instruction_that_says_nothing_or_too_much(self, shared_pipe, inputs, instruction, message):
        with pytest.raises(InputError, match=f"`instruction` .*{message}"):
            shared_pipe(instruction=instruction, **inputs)


class TestBatches:
    @pytest.mark.parametrize("task", ["video_to_speech", "soundtrack"])
    def test_items_sound_as_they_do_alone(self, shared_pipe, inputs, task):
        texts = ["Hello there.", "Another line."]
        batch = generate(
            shared_pipe,
            inputs,
            task,
            video=[frames(0), frames(1)],
            transcript=texts,
            generator=[generator(3), generator(4)],
        )
        for i in range(2):
            alone = generate(
                shared_pipe, inputs, task, video=frames(i), transcript=texts[i], generator=generator(3 + i)
            )
            np.testing.assert_allclose(batch.audios[i : i + 1], alone.audios, atol=1e-4)

    def test_each_instruction_weighs_its_own_contour(self, pipe, inputs):
        with torch.no_grad():
            pipe.gate.mlp.proj_out.bias.copy_(torch.tensor([-9.0, 3.0, 0.0, -9.0]))
        instructions = ["Dub it.", "Please give this person a voice, in time with the lips."]
        weights = pipe.choose_task(instructions, None)[2]
        assert weights[0] != weights[1]
        two = {"video": [frames(0), frames(1)], "transcript": ["Hello there.", "Another line."]}
        seeds = [generator(3), generator(4)]
        batch = pipe(instruction=instructions, generator=seeds, **(inputs | two), **STEPS)
        one = {"video": frames(1), "transcript": "Another line."}
        alone = pipe(instruction=instructions[1], generator=generator(4), **(inputs | one), **STEPS)
        np.testing.assert_allclose(batch.audios[1:], alone.audios, atol=1e-5)

    def test_plain_speech_knows_its_lengths(self, shared_pipe, inputs):
        texts = ["Short.", "A line that is much longer than the first."]
        result = generate(shared_pipe, inputs, "text_to_speech", transcript=texts)
        assert result.lengths[0] != result.lengths[1]
        assert result.audios.shape[-1] == max(result.lengths)


class TestDiffusersFeatures:
    def test_save_and_load(self, pipe, inputs, tmp_path):
        expected = {task: generate(pipe, inputs, task).audios for task in TASKS}
        probabilities = pipe.read_instruction("Dub this clip.")
        pipe.save_pretrained(tmp_path)
        for loader in (DeepAudioPipeline, DiffusionPipeline):
            loaded = loader.from_pretrained(tmp_path)
            assert isinstance(loaded, DeepAudioPipeline)
            loaded.set_progress_bar_config(disable=True)
            assert loaded.read_instruction("Dub this clip.") == pytest.approx(probabilities, abs=1e-6)
            for task in TASKS:
                np.testing.assert_allclose(generate(loaded, inputs, task).audios, expected[task], atol=1e-5)

    def test_weights_exist_once(self, pipe):
        assert pipe.video_to_audio.transformer is pipe.transformer
        assert pipe.text_to_speech.vocoder is pipe.speech_vocoder

    def test_exchanged_components_are_exchanged_in_their_half(self, pipe, inputs):
        evaluations = []
        pipe.transformer.register_forward_hook(lambda *_: evaluations.append(1))
        pipe.scheduler = FlowMatchGridMidpointScheduler()
        pipe.speech_scheduler = FlowMatchGridMidpointScheduler(grid="sway")
        assert pipe.text_to_speech.scheduler is pipe.speech_scheduler
        generate(pipe, inputs, "video_to_audio")
        assert len(evaluations) == 4

    @pytest.mark.parametrize("offload", ["model", "leaf_level"])
    def test_offload(self, pipe, inputs, offload, tmp_path):
        expected = {task: generate(pipe, inputs, task).audios for task in TASKS}
        if offload == "model":
            pipe.enable_model_cpu_offload(device="cpu")
        else:
            # Not the VAE: diffusers' class reads buffers outside `forward`, where offloading cannot see it.
            for name, part in pipe.components.items():
                if isinstance(part, torch.nn.Module) and name != "vae":
                    apply_group_offloading(
                        part,
                        onload_device=torch.device("cpu"),
                        offload_type=offload,
                        offload_to_disk_path=str(tmp_path / name),
                    )
        for task in TASKS:
            np.testing.assert_allclose(generate(pipe, inputs, task).audios, expected[task], atol=1e-5)

    @pytest.mark.parametrize(
        ("half", "changed", "unchanged"),
        [
            ("video_to_audio", "video_to_audio", "text_to_speech"),
            ("text_to_speech", "text_to_speech", "video_to_audio"),
        ],
    )
    def test_lora_on_either_half(self, pipe, inputs, half, changed, unchanged):
        expected = {task: generate(pipe, inputs, task).audios for task in (changed, unchanged)}
        getattr(pipe, half).transformer.add_adapter(
            LoraConfig(r=2, target_modules=["to_q", "to_out.0"], init_lora_weights=False)
        )
        assert not np.array_equal(generate(pipe, inputs, changed).audios, expected[changed])
        assert np.array_equal(generate(pipe, inputs, unchanged).audios, expected[unchanged])
        getattr(pipe, half).unload_lora_weights()
        assert np.array_equal(generate(pipe, inputs, changed).audios, expected[changed])

    def test_callbacks_run_in_both_loops(self, shared_pipe, inputs):
        seen = []

        def callback(half, step, timestep, tensors):
            seen.append((type(half).__name__, step, tensors["latents"].ndim))

        generate(shared_pipe, inputs, "soundtrack", callback_on_step_end=callback)
        sound, speech = (f"{name}Pipeline" for name in ("VideoToAudio", "TextToSpeech"))
        assert seen == [(name, step, 3) for name in (sound, speech, sound) for step in range(2)]

    def test_seeds(self, shared_pipe, inputs):
        takes = [generate(shared_pipe, inputs, "soundtrack", generator=generator(seed)).audios for seed in (0, 0, 1)]
        assert np.array_equal(takes[0], takes[1])
        assert not np.array_equal(takes[0], takes[2])

    def test_output_types(self, shared_pipe, inputs):
        arrays = generate(shared_pipe, inputs, "soundtrack")
        tensors = generate(shared_pipe, inputs, "soundtrack", output_type="pt")
        for name in ("audios", "ambience", "speech"):
            assert np.array_equal(getattr(tensors, name).numpy(), getattr(arrays, name))
        (audios,) = generate(shared_pipe, inputs, "soundtrack", return_dict=False)
        assert np.array_equal(audios, arrays.audios)
