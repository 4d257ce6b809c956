# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`TextToSpeechPipeline` through its public interface, with tiny real networks, and beside the original code."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers import (
    FirstBlockCacheConfig,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    PyramidAttentionBroadcastConfig,
    UniPCMultistepScheduler,
)
from diffusers.callbacks import PipelineCallback
from diffusers.hooks import apply_group_offloading
from peft import LoraConfig, get_peft_model_state_dict
from transformers import (
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from deepaudio_diffusers import (
    BigVGANVocoder,
    F5TTSTokenizer,
    FlowMatchGridEulerScheduler,
    FlowMatchGridMidpointScheduler,
    FlowMatchGridMultistepScheduler,
    TextToSpeechPipeline,
    VoicePrompt,
)
from deepaudio_diffusers.conversion import convert_f5tts, convert_vocos
from deepaudio_diffusers.errors import GenerationError, InputError
from deepaudio_diffusers.media import write_audio
from deepaudio_diffusers.processing.audio import energy_contour
from tests.golden import FIXTURES, load_golden, relative_error, weights_of
from tests.tiny import SPEECH_MELS, tiny_speech_components, tiny_speech_pipeline


RATE = 24000
HOP = 256
STEPS = {"num_inference_steps": 3}
REFERENCE_TEXT = "This is how I speak when I am asked to."
TEXT = "And this is something new."
LONG_TEXT = " ".join(
    f"Sentence number {word} is not a long one, but it has a comma." for word in "abcdefghijklmnopqrstu"
)


def reference(seed: int = 0, length_in_s: float = 2.0, rate: int = RATE) -> torch.Tensor:
    """Something like speech: noise whose loudness swells four times a second."""
    time_in_s = torch.arange(round(length_in_s * rate)) / rate
    noise = torch.randn(len(time_in_s), generator=torch.Generator().manual_seed(seed))
    return 0.2 * noise * (0.6 + 0.4 * torch.sin(2 * torch.pi * 4 * time_in_s))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def shared_pipe():
    """For tests that leave the pipeline as they found it."""
    return tiny_speech_pipeline()


@pytest.fixture
def pipe():
    return tiny_speech_pipeline()


@pytest.fixture(scope="module")
def energy_pipe():
    return tiny_speech_pipeline(energy_conditioning=True)


@pytest.fixture(scope="module")
def voice(shared_pipe):
    return shared_pipe.encode_voice(reference(), REFERENCE_TEXT, RATE)


@pytest.fixture(scope="module")
def other_voice(shared_pipe):
    return shared_pipe.encode_voice(reference(1, 1.5), "Quite another voice.", RATE)


def generate(pipe, voice, transcript=TEXT, **kwargs):
    return pipe(transcript, **({"voice": voice, "generator": generator(), **STEPS} | kwargs)).audios


class TestParityWithTheOriginal:
    """End to end beside the original on its own tiny random networks: waveforms, not only velocities."""

    def pipeline(self, golden, **config):
        pipe = TextToSpeechPipeline(
            tokenizer=F5TTSTokenizer(vocab_file=str(FIXTURES / "f5tts" / "vocab.txt")),
            transformer=convert_f5tts(weights_of(golden), num_attention_heads=4, attention_head_dim=16, **config),
            scheduler=FlowMatchGridEulerScheduler(grid="epss"),
            vocoder=convert_vocos(weights_of(load_golden("f5tts/vocos_mel100"))),
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @pytest.mark.parametrize(
        ("case", "audio", "rate", "reference_text", "text", "arguments"),
        [
            ("quiet16k", "quiet16k", 16000, "Some call me. ", "Short reply here.", {}),
            ("loud_stereo", "loud_stereo", RATE, "Some call me nature. ", "Well, then so be it.", {"speed": 1.25}),
            # 2.5 s with the reference, in the original.
            (
                "fixdur",
                "loud_stereo",
                RATE,
                "Some call me nature. ",
                "Hello again there.",
                {"audio_length_in_s": (234 - 94 - 1) * HOP / RATE},
            ),
            ("zh", "loud_stereo", RATE, "对，这就是我。", "你好，世界真大。", {}),
        ],
    )
    def test_upstream(self, case, audio, rate, reference_text, text, arguments):
        golden = load_golden("f5tts/e2e_upstream")
        pipe = self.pipeline(golden, text_mask_padding=True, num_rotary_heads=None)
        voice = pipe.encode_voice(golden[f"{audio}.wav_in"], reference_text, rate, trim=False, normalize=False)
        arguments = arguments | {"voice": voice, "normalize_text": False, "num_inference_steps": 5}

        mel = pipe(text, generator=generator(123), output_type="latent", **arguments).audios
        # The original's first frame is the last one of the reference.
        assert relative_error(mel[0].T, golden[f"{case}.mel_out"][:, 1:]) < 1e-4
        result = pipe(text, generator=generator(123), output_type="pt", **arguments)
        # And its first hop, which lies between the two.
        assert result.lengths == [golden[f"{case}.wav_out"].shape[0] - HOP]
        assert relative_error(result.audios[0, 0], golden[f"{case}.wav_out"][HOP:]) < 1e-4

    @pytest.mark.parametrize("case", ["tts_noenergy", "v2s"])
    def test_the_fork_with_energy(self, case):
        golden = load_golden("f5tts/e2e_fork")
        pipe = self.pipeline(golden, text_mask_padding=False, num_rotary_heads=1, attn_mask_enabled=True)
        pipe.scheduler = FlowMatchGridEulerScheduler(grid="sway")
        energy = golden[f"{case}.energy_used"][0, :, 0]
        voice = pipe.encode_voice(
            golden["tts_noenergy.wav_in"], "Some call me nature. ", RATE, trim=False, normalize=False
        )
        num_prompt_frames = voice.mel.shape[0]
        voice = dataclasses.replace(voice, energy=energy[:num_prompt_frames])
        length_in_s = (len(energy) - num_prompt_frames - 1) * HOP / RATE
        (passage,) = pipe.prepare_passages("Well, then so be it.", voice, audio_length_in_s=length_in_s)
        if case == "v2s":
            # To the last frame, which has no sample of its own here.
            passage = dataclasses.replace(passage, energy=energy[num_prompt_frames:])
        pipe._begin_call(guidance_scale=3.0, attention_kwargs=None)
        with pipe.progress_bar(total=5) as progress_bar, torch.no_grad():
            (mel,) = pipe._denoise([pipe._infilling(passage)], [generator(123)], 5, None, ["latents"], progress_bar)
            audio = pipe._decode_passages([passage], [mel])
        assert relative_error(mel[num_prompt_frames:].T, golden[f"{case}.mel_out"][:, 1:]) < 1e-4
        assert relative_error(audio, golden[f"{case}.wav_out"][HOP:]) < 1e-4


class TestSpeech:
    def test_every_input_matters(self, shared_pipe, voice, other_voice):
        fixed = {"audio_length_in_s": 1.0}
        expected = generate(shared_pipe, voice, **fixed)
        assert expected.dtype == np.float32
        assert expected.std() > 1e-4
        for change in (
            {"transcript": "Another text, of another length."},
            {"voice": other_voice},
            {"generator": generator(1)},
            {"guidance_scale": 2.0},
            {"num_inference_steps": 4},
        ):
            assert not np.array_equal(generate(shared_pipe, **({"voice": voice} | fixed | change)), expected), change
        assert np.array_equal(generate(shared_pipe, voice, **fixed), expected)

    def test_reference_audio_is_encoded(self, shared_pipe, voice, tmp_path):
        expected = generate(shared_pipe, voice)
        arguments = {"reference_audio": reference(), "reference_text": REFERENCE_TEXT, "voice": None}
        assert np.array_equal(generate(shared_pipe, **arguments, reference_sampling_rate=RATE), expected)
        arguments["reference_audio"] = reference().numpy()
        assert np.array_equal(generate(shared_pipe, **arguments, reference_sampling_rate=RATE), expected)

        write_audio(tmp_path / "voice.wav", reference()[None].numpy(), RATE)
        from_file = generate(shared_pipe, **(arguments | {"reference_audio": tmp_path / "voice.wav"}))
        # 16 bits in the file.
        assert np.abs(from_file - expected).max() < 0.02 * np.abs(expected).max()

    def test_voices_can_be_kept(self, voice, tmp_path):
        torch.save(voice, tmp_path / "voice.pt")
        loaded = torch.load(tmp_path / "voice.pt", weights_only=True)
        assert isinstance(loaded, VoicePrompt)
        assert torch.equal(loaded.mel, voice.mel)
        assert loaded.text == voice.text

    def test_speed(self, shared_pipe, voice):
        lengths = [generate(shared_pipe, voice, speed=speed).shape[-1] for speed in (0.5, 1.0, 2.0)]
        assert lengths[0] > lengths[1] > lengths[2]
        assert lengths[0] / lengths[2] == pytest.approx(4, rel=0.1)

    def test_quiet_references_are_raised_and_the_speech_lowered_again(self, shared_pipe, voice):
        quiet = shared_pipe.encode_voice(reference() * 0.05, REFERENCE_TEXT, RATE, trim=False)
        loud = shared_pipe.encode_voice(reference() * 0.5, REFERENCE_TEXT, RATE, trim=False)
        assert quiet.gain == pytest.approx(0.1 / (reference() * 0.05).square().mean().sqrt().item(), rel=1e-5)
        assert quiet.gain == pytest.approx(10 * loud.gain, rel=1e-5)
        loudness = [generate(shared_pipe, prompt).std() for prompt in (quiet, loud)]
        assert loudness[1] / loudness[0] == pytest.approx(10, rel=1e-3)

    def test_silence_around_the_reference_is_cut_off(self, shared_pipe, voice):
        padded = torch.cat([torch.zeros(RATE), reference(), torch.zeros(RATE)])
        trimmed = shared_pipe.encode_voice(padded, REFERENCE_TEXT, RATE)
        assert trimmed.audio_length_in_s == pytest.approx(voice.audio_length_in_s, abs=0.02)
        assert shared_pipe.encode_voice(padded, REFERENCE_TEXT, RATE, trim=False).audio_length_in_s == 4.0

    @pytest.fixture
    def warnings(self, monkeypatch):
        messages = []
        name = "deepaudio_diffusers.pipelines.pipeline_text_to_speech.logger.warning"
        monkeypatch.setattr(name, messages.append)
        return messages

    def test_unknown_characters_are_named(self, shared_pipe, voice, warnings):
        shared_pipe.prepare_passages("Plain words,\nover two lines.", voice)
        assert warnings == []
        shared_pipe.prepare_passages("A snowman \u2603 and a bell \a rang.", voice)
        (message,) = warnings
        assert message.endswith("does not know and passes over: '\u2603', '\\x07'.")

    def test_channels_that_cancel_each_other_are_noticed(self, shared_pipe, warnings):
        stereo = torch.stack([reference(), reference()])
        shared_pipe.encode_voice(stereo, REFERENCE_TEXT, RATE)
        assert warnings == []
        shared_pipe.encode_voice(stereo * torch.tensor([[1.0], [-0.95]]), REFERENCE_TEXT, RATE, trim=False)
        assert "cancel each other" in warnings[0]

    def test_numbers_are_written_out(self, shared_pipe, voice):
        written = generate(shared_pipe, voice, "It costs twenty three dollars.", audio_length_in_s=1.0)
        assert np.array_equal(generate(shared_pipe, voice, "It costs $23.", audio_length_in_s=1.0), written)
        raw = generate(shared_pipe, voice, "It costs $23.", audio_length_in_s=1.0, normalize_text=False)
        assert not np.array_equal(raw, written)

    def test_the_reference_does_not_leak_into_the_speech(self, shared_pipe, voice):
        """Frames and samples of the reference are the same whatever is generated; no new one may be."""
        takes = [generate(shared_pipe, voice, generator=generator(seed), output_type="latent") for seed in (0, 1)]
        assert (takes[0] - takes[1]).abs().amax(dim=-1).min() > 1e-3
        assert (takes[0][0, 0] - voice.mel[-1]).abs().max() > 1e-3

    def test_bigvgan_mels(self):
        components = tiny_speech_components(mel_type="bigvgan")
        components["vocoder"] = BigVGANVocoder(
            num_mels=SPEECH_MELS,
            upsample_initial_channel=16,
            upsample_rates=(16, 16),
            upsample_kernel_sizes=(32, 32),
            resblock_kernel_sizes=(3,),
            resblock_dilation_sizes=((1, 3, 5),),
        )
        pipe = TextToSpeechPipeline(**components)
        pipe.set_progress_bar_config(disable=True)
        voice = pipe.encode_voice(reference(), REFERENCE_TEXT, RATE)
        assert generate(pipe, voice, audio_length_in_s=0.77).shape == (1, 1, round(0.77 * RATE))


class TestLength:
    @pytest.mark.parametrize("length_in_s", [0.61234, 1.0, 2.5, 7.77])
    def test_is_exact(self, shared_pipe, voice, length_in_s):
        assert generate(shared_pipe, voice, audio_length_in_s=length_in_s).shape[-1] == round(length_in_s * RATE)

    def test_is_exact_over_many_passages(self, shared_pipe, voice):
        """From 1 to 20 passages, whose number the length of the text decides."""
        sentence = "A sentence that nearly fills a passage, " + "and goes on, " * 12 + "until it ends. "
        seen = set()
        for num_sentences in range(1, 40):
            text = sentence * num_sentences
            length_in_s = 4.0 * num_sentences + 0.123
            passages = shared_pipe.prepare_passages(text, voice, audio_length_in_s=length_in_s)
            samples = sum(passage.num_samples - passage.overlap for passage in passages)
            assert samples == round(length_in_s * RATE)
            if len(passages) in (1, 2, 3, 20) and len(passages) not in seen:
                audio = generate(shared_pipe, voice, text, audio_length_in_s=length_in_s, num_inference_steps=1)
                assert audio.shape[-1] == samples
            seen.add(len(passages))
        assert set(range(1, 21)) <= seen

    def test_passages_hold_the_whole_text(self, shared_pipe, voice):
        passages = shared_pipe.prepare_passages(LONG_TEXT, voice)
        assert len(passages) > 2
        assert " ".join(passage.text for passage in passages).split() == LONG_TEXT.split()
        audio = generate(shared_pipe, voice, LONG_TEXT, num_inference_steps=1)
        assert audio.shape[-1] == sum(passage.num_samples - passage.overlap for passage in passages)

    def test_text_without_punctuation_is_divided(self, shared_pipe, voice):
        text = "word after word " * 60
        passages = shared_pipe.prepare_passages(text, voice)
        assert len(passages) > 2
        assert max(passage.num_samples for passage in passages) < 22 * RATE
        assert " ".join(passage.text for passage in passages).split() == text.split()

    def test_a_book_is_divided(self, shared_pipe, voice):
        text = "All work and no play makes a dull boy, they say. " * 2041
        assert len(text) > 100_000
        passages = shared_pipe.prepare_passages(text, voice, normalize=False)
        assert len(passages) > 200
        assert " ".join(passage.text for passage in passages).split() == text.split()

    def test_more_text_than_frames_is_refused(self, shared_pipe, voice):
        with pytest.raises(InputError, match=r"`audio_length_in_s` is 0\.2, too short.*at least ([\d.]+)") as error:
            generate(shared_pipe, voice, LONG_TEXT, audio_length_in_s=0.2)
        enough = float(str(error.value).split("at least ")[1].split(",")[0])
        shared_pipe.prepare_passages(LONG_TEXT, voice, audio_length_in_s=enough)

    def test_more_frames_than_positions_are_refused(self, shared_pipe, voice):
        with pytest.raises(InputError, match=r"must fit into 8192 frames \(87\.4 s\)"):
            generate(shared_pipe, voice, audio_length_in_s=120.0)


class TestVoices:
    def test_tags_hand_over(self, shared_pipe, voice, other_voice):
        voices = {"anna": voice, "ben": other_voice}
        text = "Hello there. [ben] Good day to you. [anna] And goodbye."
        passages = shared_pipe.prepare_passages(text, voices)
        assert [passage.voice for passage in passages] == [voice, other_voice, voice]
        assert [passage.text for passage in passages] == ["Hello there.", "Good day to you.", "And goodbye."]
        # Voices are not cross-faded.
        assert [passage.overlap for passage in passages] == [0, 0, 0]
        audio = generate(shared_pipe, voices, text)
        assert audio.shape[-1] == sum(passage.num_samples for passage in passages)
        assert generate(shared_pipe, voices, text, audio_length_in_s=3.21).shape[-1] == round(3.21 * RATE)

    def test_the_length_is_exact_when_the_last_voice_has_one_passage(self, shared_pipe, voice, other_voice):
        """The passages of the first voice are cross-faded, that of the second is not."""
        text = LONG_TEXT + " [ben] Goodbye."
        passages = shared_pipe.prepare_passages(text, {"anna": voice, "ben": other_voice}, audio_length_in_s=60.0)
        assert passages[1].overlap > 0 == passages[-1].overlap
        arguments = {"audio_length_in_s": 60.0, "num_inference_steps": 1, "guidance_scale": 1.0}
        audio = generate(shared_pipe, {"anna": voice, "ben": other_voice}, text, **arguments)
        assert audio.shape[-1] == 60 * RATE

    def test_an_unknown_tag_is_refused(self, shared_pipe, voice, other_voice):
        with pytest.raises(InputError, match=r"`\[carl\]`, but the voices are anna, ben"):
            generate(shared_pipe, {"anna": voice, "ben": other_voice}, "Hello. [carl] Who am I?")

    def test_brackets_are_text_for_one_voice(self, shared_pipe, voice):
        (passage,) = shared_pipe.prepare_passages("See note [one] below.", voice)
        assert passage.text == "See note [one] below."


class TestBatches:
    def test_items_sound_as_they_do_alone(self, shared_pipe, voice, other_voice):
        items = [
            (TEXT, voice, 3, 1.0),
            (LONG_TEXT, other_voice, 4, None),
            ("Short.", voice, 5, 2.345),
            ("一句中文。", other_voice, 6, None),
        ]
        result = shared_pipe(
            [text for text, *_ in items],
            voice=[item[1] for item in items],
            generator=[generator(item[2]) for item in items],
            audio_length_in_s=[item[3] for item in items],
            **STEPS,
        )
        assert result.audios.shape == (4, 1, max(result.lengths))
        for i, (text, prompt, seed, length_in_s) in enumerate(items):
            alone = generate(shared_pipe, prompt, text, generator=generator(seed), audio_length_in_s=length_in_s)
            assert result.lengths[i] == alone.shape[-1]
            # Matrix products over padded rows are summed in another order, which the vocoder passes on.
            np.testing.assert_allclose(
                result.audios[i, :, : result.lengths[i]], alone[0], atol=2e-5 * np.abs(alone).max()
            )
            assert not result.audios[i, :, result.lengths[i] :].any()

    @pytest.mark.parametrize(
        "config",
        [
            {"text_mask_padding": False, "num_rotary_heads": 1},
            {"text_average_upsampling": True},
            {"energy_conditioning": True},
        ],
    )
    def test_every_kind_of_network_is_independent_of_the_batch(self, config):
        pipe = tiny_speech_pipeline(**config)
        voice = pipe.encode_voice(reference(), REFERENCE_TEXT, RATE)
        texts = [TEXT, "A longer text than the first one, by far."]
        batch = pipe(texts, voice=voice, generator=[generator(1), generator(2)], **STEPS)
        alone = generate(pipe, voice, texts[0], generator=generator(1))
        np.testing.assert_allclose(batch.audios[0, :, : batch.lengths[0]], alone[0], atol=2e-5 * np.abs(alone).max())

    def test_takes(self, shared_pipe, voice):
        takes = generate(
            shared_pipe,
            voice,
            [TEXT, "Some other text."],
            audio_length_in_s=0.8,
            num_waveforms_per_prompt=2,
            generator=[generator(seed) for seed in range(4)],
        )
        assert takes.shape == (4, 1, round(0.8 * RATE))
        alone = generate(shared_pipe, voice, "Some other text.", audio_length_in_s=0.8, generator=generator(2))
        np.testing.assert_allclose(takes[2:3], alone, atol=2e-5 * np.abs(alone).max())

    def test_references_pair_up(self, shared_pipe):
        batch = generate(
            shared_pipe,
            None,
            [TEXT, TEXT],
            reference_audio=[reference(0), reference(1)],
            reference_text=[REFERENCE_TEXT, "Quite another voice."],
            reference_sampling_rate=RATE,
            audio_length_in_s=0.8,
            generator=[generator(), generator()],
        )
        assert np.abs(batch[0] - batch[1]).max() > 1e-4


class TestEnergy:
    def test_a_contour_gives_the_length_and_changes_the_speech(self, energy_pipe):
        voice = energy_pipe.encode_voice(reference(), REFERENCE_TEXT, RATE)
        contour = energy_contour(reference(2, 1.0)[None], RATE)
        speech = generate(energy_pipe, voice, energy=contour)
        assert speech.shape[-1] == len(contour) * HOP
        flat = generate(energy_pipe, voice, audio_length_in_s=len(contour) * HOP / RATE)
        assert not np.array_equal(speech, flat)
        zeros = generate(
            energy_pipe,
            dataclasses.replace(voice, energy=torch.zeros_like(voice.energy)),
            energy=torch.zeros_like(contour),
        )
        assert np.array_equal(zeros, flat)

    def test_a_contour_is_divided_among_passages(self, energy_pipe):
        voice = energy_pipe.encode_voice(reference(), REFERENCE_TEXT, RATE)
        contour = torch.linspace(0, 1, 3000)
        passages = energy_pipe.prepare_passages(LONG_TEXT[:900], voice, energy=contour)
        assert len(passages) > 1
        start = 0
        for passage in passages:
            start -= passage.overlap
            assert passage.energy[0] == contour[round(start / HOP)]
            start += passage.num_samples
        assert start == 3000 * HOP

    def test_batches_of_contours(self, energy_pipe):
        voice = energy_pipe.encode_voice(reference(), REFERENCE_TEXT, RATE)
        contours = torch.rand(2, 90, generator=generator())
        batch = generate(energy_pipe, voice, [TEXT, TEXT], energy=contours, generator=[generator(), generator()])
        assert batch.shape == (2, 1, 90 * HOP)
        alone = generate(energy_pipe, voice, TEXT, energy=contours[1])
        np.testing.assert_allclose(batch[1:], alone, atol=2e-5 * np.abs(alone).max())

    @pytest.mark.parametrize(
        ("energy", "length_in_s", "message"),
        [
            (torch.zeros(90), 1.0, r"`energy` has 90 values for `audio_length_in_s=1\.0`; expected 93"),
            (torch.full((93,), 1.5), None, r"outside \[0, 1\]"),
            (torch.full((93,), torch.nan), None, r"outside \[0, 1\] or NaN"),
            (torch.zeros(1, 1, 93), None, r"`energy` is torch.float32 \(1, 1, 93\)"),
            (np.zeros(93), None, "`energy` is ndarray"),
            (torch.zeros(0), None, r"`energy` is torch.float32 \(0,\)"),
            (torch.zeros(93, dtype=torch.int64), None, r"`energy` is torch.int64 \(93,\)"),
        ],
    )
    def test_contours_that_do_not_fit(self, energy_pipe, energy, length_in_s, message):
        voice = energy_pipe.encode_voice(reference(), REFERENCE_TEXT, RATE)
        with pytest.raises(InputError, match=message):
            generate(energy_pipe, voice, energy=energy, audio_length_in_s=length_in_s)

    def test_networks_without_energy_refuse_it(self, shared_pipe, voice):
        with pytest.raises(InputError, match="not conditioned on energy"):
            generate(shared_pipe, voice, energy=torch.zeros(93))


class TestEditing:
    SPANS = [(0.5, 0.8), (1.2, 1.5)]

    def edit(self, pipe, audio, **kwargs):
        arguments = {"spans_in_s": self.SPANS, "sampling_rate": RATE, "generator": generator(), **STEPS} | kwargs
        return pipe.edit(audio, "This is how I sang when I was asked to.", **arguments).audios

    @pytest.mark.parametrize("lengths_in_s", [None, [0.5, 0.1]])
    def test_the_rest_is_bit_identical(self, shared_pipe, lengths_in_s):
        audio = reference()
        edited = self.edit(shared_pipe, audio, span_lengths_in_s=lengths_in_s)[0, 0]
        hops = [(round(start * RATE / HOP), round(end * RATE / HOP)) for start, end in self.SPANS]
        if lengths_in_s is None:
            new = [end - start for start, end in hops]
        else:
            new = [round(length * RATE / HOP) for length in lengths_in_s]
        assert len(edited) == len(audio) + HOP * (sum(new) - sum(end - start for start, end in hops))
        position = 0
        kept_start = 0
        for (start, end), length in zip(hops, new, strict=True):
            kept = audio[kept_start * HOP : start * HOP].numpy()
            assert np.array_equal(edited[position : position + len(kept)], kept)
            position += len(kept)
            changed = edited[position : position + length * HOP]
            assert not np.array_equal(changed, audio[start * HOP : start * HOP + len(changed)].numpy())
            position += length * HOP
            kept_start = end
        assert np.array_equal(edited[position:], audio[kept_start * HOP :].numpy())

    def test_quiet_recordings_stay_quiet(self, shared_pipe):
        edited = self.edit(shared_pipe, reference() * 0.01)[0, 0]
        assert np.array_equal(edited[: round(0.49 * RATE)], (reference() * 0.01)[: round(0.49 * RATE)].numpy())
        assert edited.std() < 0.05 * self.edit(shared_pipe, reference())[0, 0].std()

    def test_a_mel_spectrogram_keeps_its_frames(self, shared_pipe):
        mel = self.edit(shared_pipe, reference(), output_type="latent")
        same = self.edit(shared_pipe, reference(), output_type="latent", generator=generator(1))
        differs = (mel != same).any(dim=-1)[0]
        hops = [(round(start * RATE / HOP), round(end * RATE / HOP)) for start, end in self.SPANS]
        expected = torch.zeros_like(differs)
        for start, end in hops:
            expected[start:end] = True
        assert torch.equal(differs, expected)

    def test_with_energy_conditioning(self, energy_pipe):
        assert self.edit(energy_pipe, reference()).shape == (1, 1, 2 * RATE)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"spans_in_s": []}, r"`spans_in_s` is \[\]"),
            ({"spans_in_s": [(0.5, 0.4)]}, r"\(0\.5, 0\.4\)"),
            ({"spans_in_s": [0.1, 0.3]}, r"`spans_in_s` is \[0\.1, 0\.3\]"),
            ({"spans_in_s": [(0.1, float("nan"))]}, r"`spans_in_s` is \[\(0\.1, nan\)\]"),
            ({"spans_in_s": [("a", "b")]}, "`spans_in_s` is"),
            ({"span_lengths_in_s": 0.4}, r"`span_lengths_in_s` is 0\.4"),
            ({"span_lengths_in_s": [0.1, float("inf")]}, "`span_lengths_in_s` is inf"),
            ({"span_lengths_in_s": [0.1, 0.001]}, "less than a frame"),
            ({"spans_in_s": [(1.0, 1.5), (0.2, 0.4)]}, "in order"),
            ({"spans_in_s": [(1.0, 2.5)]}, r"recording of 2\.000 s"),
            ({"span_lengths_in_s": [0.1]}, "1 items for 2 spans"),
            ({"span_lengths_in_s": [0.1, -1]}, "-1"),
            ({"span_lengths_in_s": [0.1, 200]}, "at most 8192 frames"),
        ],
    )
    def test_spans_that_do_not_fit(self, shared_pipe, arguments, message):
        with pytest.raises(InputError, match=message):
            self.edit(shared_pipe, reference(), **arguments)

    def test_recordings_and_texts_that_do_not_fit(self, shared_pipe):
        with pytest.raises(InputError, match="`audio` is silent"):
            self.edit(shared_pipe, torch.zeros(2 * RATE))
        with pytest.raises(InputError, match=r"`transcript` is '\.\.\.'"):
            shared_pipe.edit(reference(), "...", self.SPANS, sampling_rate=RATE)
        with pytest.raises(InputError, match="more frames than letters"):
            shared_pipe.edit(reference(), "word " * 50, self.SPANS, sampling_rate=RATE)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    """A tiny random Whisper whose only words are letters."""
    folder = tmp_path_factory.mktemp("whisper")
    vocabulary = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    (folder / "vocab.json").write_text(str(vocabulary).replace("'", '"'))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=16,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_target_positions=16,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=0,
        suppress_tokens=list(range(26, len(tokenizer))),
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config).eval()
    model.generation_config.max_length = 12
    processor = WhisperProcessor(WhisperFeatureExtractor(feature_size=16), tokenizer)
    return {"speech_recognizer": model, "speech_recognizer_processor": processor}


class TestSpeechRecognizer:
    def test_writes_down_the_reference(self, recognizer, tmp_path):
        pipe = TextToSpeechPipeline(**tiny_speech_components(), **recognizer)
        pipe.set_progress_bar_config(disable=True)
        voice = pipe.encode_voice(reference(), None, RATE)
        assert voice.text == pipe.transcribe(reference()) + ". "
        assert generate(pipe, voice).std() > 0

        pipe.save_pretrained(tmp_path)
        loaded = TextToSpeechPipeline.from_pretrained(tmp_path)
        assert loaded.encode_voice(reference(), None, RATE).text == voice.text

    def test_nothing_heard(self, recognizer, monkeypatch):
        pipe = TextToSpeechPipeline(**tiny_speech_components(), **recognizer)
        # No letter may be written.
        monkeypatch.setattr(pipe.speech_recognizer.generation_config, "suppress_tokens", list(range(26)))
        with pytest.raises(InputError, match=r"heard no words in `reference_audio` \(it wrote ''\)"):
            pipe.encode_voice(reference(), None, RATE)

    def test_without_one_the_text_is_needed(self, shared_pipe):
        with pytest.raises(InputError, match="`reference_text` is missing and the pipeline has no"):
            shared_pipe.encode_voice(reference(), None, RATE)


class TestSampling:
    @pytest.mark.parametrize(
        ("scheduler", "num_evaluations"),
        [
            (FlowMatchGridEulerScheduler(), 12),
            (FlowMatchGridEulerScheduler(grid="epss"), 12),
            (FlowMatchGridMidpointScheduler(grid="sway"), 24),
            (FlowMatchGridMultistepScheduler(grid="sway"), 12),
            (FlowMatchEulerDiscreteScheduler(), 12),
            (FlowMatchHeunDiscreteScheduler(), 23),
            (UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0), 12),
        ],
    )
    def test_schedulers(self, pipe, voice, scheduler, num_evaluations):
        fine = generate(pipe, voice, num_inference_steps=64, output_type="latent")
        calls = []
        pipe.transformer.register_forward_hook(lambda *_: calls.append(1))
        pipe.scheduler = scheduler
        mel = generate(pipe, voice, num_inference_steps=12, output_type="latent")
        assert len(calls) == num_evaluations == pipe.num_timesteps
        assert (mel - fine).norm() / fine.norm() < 0.2

    def test_schedulers_for_other_diffusions_are_refused(self, pipe, voice):
        pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config)
        with pytest.raises(InputError, match="UniPCMultistepScheduler for another kind of diffusion"):
            generate(pipe, voice)

    def test_one_forward_pass_a_step_and_text_features_once(self, pipe, voice):
        sets, texts = [], []
        pipe.transformer.register_forward_hook(lambda _, args, output: sets.append(len(output[0])))
        pipe.transformer.text_embed.register_forward_hook(lambda *_: texts.append(1))
        generate(pipe, voice, guidance_scale=1.0)
        assert (sets, len(texts)) == ([1, 1, 1], 1)
        generate(pipe, voice)
        assert (sets[3:], len(texts)) == ([2, 2, 2], 3)

    def test_seeds_do_not_depend_on_the_global_generator(self, shared_pipe, voice):
        torch.manual_seed(0)
        first = generate(shared_pipe, voice, LONG_TEXT)
        torch.manual_seed(1)
        assert np.array_equal(generate(shared_pipe, voice, LONG_TEXT), first)

    def test_output_types(self, shared_pipe, voice):
        array = generate(shared_pipe, voice)
        tensor = generate(shared_pipe, voice, output_type="pt")
        assert np.array_equal(tensor.numpy(), array)
        as_tuple = shared_pipe(TEXT, voice=voice, generator=generator(), return_dict=False, **STEPS)
        assert np.array_equal(as_tuple[0], array)
        mel = generate(shared_pipe, voice, output_type="latent")
        assert mel.shape == (1, array.shape[-1] // HOP + 1, SPEECH_MELS)

    def test_signature_is_that_of_diffusers(self):
        names = {
            "audio_length_in_s",
            "num_inference_steps",
            "guidance_scale",
            "num_waveforms_per_prompt",
            "generator",
            "output_type",
            "return_dict",
            "callback_on_step_end",
            "callback_on_step_end_tensor_inputs",
            "attention_kwargs",
        }
        assert names <= inspect.signature(TextToSpeechPipeline.__call__).parameters.keys()


class TestCallbacks:
    def test_callback_sees_every_step_of_every_passage(self, shared_pipe, voice):
        seen = []

        def callback(pipe, step, timestep, tensors):
            seen.append((step, float(timestep), tuple(tensors["latents"].shape[::2])))

        num_passages = len(shared_pipe.prepare_passages(LONG_TEXT, voice))
        generate(shared_pipe, voice, LONG_TEXT, callback_on_step_end=callback)
        assert [step for step, *_ in seen] == [0, 1, 2] * num_passages
        assert seen[0][1:] == (1000, (1, SPEECH_MELS))

    def test_callback_changes_latents_and_guidance(self, pipe, voice):
        sets = []
        pipe.transformer.register_forward_hook(lambda _, args, output: sets.append(len(output[0])))

        class CutOff(PipelineCallback):
            tensor_inputs = ["latents"]

            def callback_fn(self, pipeline, step_index, timestep, callback_kwargs):
                if step_index == 0:
                    pipeline._guidance_scale = 0.0
                return {"latents": torch.zeros_like(callback_kwargs["latents"])}

        mel = generate(
            pipe,
            voice,
            callback_on_step_end=CutOff(cutoff_step_ratio=None, cutoff_step_index=1),
            output_type="latent",
        )
        assert sets == [2, 1, 1]
        assert not mel.any()

    def test_guidance_that_ended_begins_again_with_the_next_passage(self, pipe, voice):
        sets = []
        pipe.transformer.register_forward_hook(lambda _, args, output: sets.append(len(output[0])))

        def end_guidance(pipe, step, timestep, tensors):
            pipe._guidance_scale = 0.0

        num_passages = len(pipe.prepare_passages(LONG_TEXT, voice))
        generate(pipe, voice, LONG_TEXT, callback_on_step_end=end_guidance)
        assert sets == [2, 1, 1] * num_passages

    def test_interrupt_ends_all_passages(self, pipe, voice):
        calls = []
        pipe.transformer.register_forward_hook(lambda *_: calls.append(1))

        def stop(pipe, step, timestep, tensors):
            pipe._interrupt = step == 1

        (first, *_) = pipe.prepare_passages(LONG_TEXT, voice)
        audio = generate(pipe, voice, LONG_TEXT, callback_on_step_end=stop)
        assert len(calls) == 2
        assert audio.shape[-1] == first.num_samples


class TestDiffusersFeatures:
    def test_save_and_load(self, pipe, voice, tmp_path):
        expected = generate(pipe, voice)
        pipe.save_pretrained(tmp_path)
        loaded = TextToSpeechPipeline.from_pretrained(tmp_path)
        loaded.set_progress_bar_config(disable=True)
        assert loaded.speech_recognizer is None
        np.testing.assert_allclose(generate(loaded, voice), expected, atol=1e-5 * np.abs(expected).max())

    def test_bfloat16(self, pipe, voice, tmp_path):
        expected = generate(pipe, voice, output_type="latent")
        pipe.save_pretrained(tmp_path)
        half = TextToSpeechPipeline.from_pretrained(tmp_path, dtype=torch.bfloat16)
        half.set_progress_bar_config(disable=True)
        mel = generate(half, voice, output_type="latent")
        assert mel.dtype == torch.float32
        assert (mel - expected).norm() / expected.norm() < 0.1
        assert generate(half, voice).dtype == np.float32

    @pytest.mark.parametrize("offload", ["model", "sequential", "leaf_level", "block_level"])
    def test_offload(self, pipe, voice, offload, tmp_path):
        expected = generate(pipe, voice)
        # As in the tests of the other pipeline: weights that are not fetched are on the meta device or hold garbage.
        modules = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
        if offload == "model":
            pipe.enable_model_cpu_offload(device="cpu")
        elif offload == "sequential":
            for module in modules.values():
                cpu_offload(module, torch.device("cpu"), offload_buffers=False)
            assert pipe.transformer.proj_out.weight.device.type == "meta"
        else:
            for name, module in modules.items():
                apply_group_offloading(
                    module,
                    onload_device=torch.device("cpu"),
                    offload_type=offload,
                    num_blocks_per_group=1 if offload == "block_level" else None,
                    offload_to_disk_path=str(tmp_path / name),
                )
        for _ in range(2):
            np.testing.assert_allclose(generate(pipe, voice), expected, atol=1e-5 * np.abs(expected).max())

    @pytest.mark.parametrize(
        "config",
        [FirstBlockCacheConfig(threshold=10.0), PyramidAttentionBroadcastConfig(spatial_attention_block_skip_range=2)],
    )
    def test_caches(self, pipe, voice, config):
        expected = generate(pipe, voice, num_inference_steps=6)
        if isinstance(config, PyramidAttentionBroadcastConfig):
            config.current_timestep_callback = lambda: pipe.current_timestep
        pipe.transformer.enable_cache(config)
        assert not np.array_equal(generate(pipe, voice, num_inference_steps=6), expected)
        pipe.transformer.disable_cache()
        assert np.array_equal(generate(pipe, voice, num_inference_steps=6), expected)

    def test_lora(self, pipe, voice, tmp_path):
        expected = generate(pipe, voice)
        pipe.transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_out.0"], init_lora_weights=False))
        adapted = generate(pipe, voice)
        assert not np.array_equal(adapted, expected)
        TextToSpeechPipeline.save_lora_weights(
            tmp_path,
            transformer_lora_layers=get_peft_model_state_dict(pipe.transformer),
            transformer_lora_adapter_metadata=pipe.transformer.peft_config["default"].to_dict(),
        )
        pipe.unload_lora_weights()
        assert np.array_equal(generate(pipe, voice), expected)
        pipe.load_lora_weights(tmp_path, adapter_name="accent")
        assert np.array_equal(generate(pipe, voice), adapted)
        off = generate(pipe, voice, attention_kwargs={"scale": 0.0})
        np.testing.assert_allclose(off, expected, atol=1e-5)

    def test_components_make_another_pipeline(self, shared_pipe):
        assert TextToSpeechPipeline(**shared_pipe.components).transformer is shared_pipe.transformer
        assert TextToSpeechPipeline.from_pipe(shared_pipe).transformer is shared_pipe.transformer

    def test_progress_bar_counts_all_passages(self, pipe, voice, capfd):
        pipe.set_progress_bar_config(disable=False)
        num_passages = len(pipe.prepare_passages(LONG_TEXT, voice))
        generate(pipe, voice, LONG_TEXT)
        assert f"{3 * num_passages}/{3 * num_passages}" in capfd.readouterr().err


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"transcript": ""}, "`transcript` is '', without a letter"),
            ({"transcript": "?! ... --"}, r"`transcript` is '\?! ... --', without a letter"),
            ({"transcript": "\n\t "}, "without a letter"),
            ({"transcript": []}, r"`transcript` is \[\]"),
            ({"transcript": None}, "`transcript` is None"),
            ({"transcript": ["a", 3]}, "`transcript` is 3"),
            ({"transcript": "half a character: \ud83d"}, "lone surrogate"),
            ({"speed": 0}, "`speed` is 0"),
            ({"speed": float("nan")}, "`speed` is nan"),
            ({"speed": 1e308}, r"`speed` is 1e\+308"),
            ({"speed": "fast"}, "`speed` is 'fast'"),
            ({"audio_length_in_s": -1.0}, r"`audio_length_in_s` is -1\.0"),
            ({"audio_length_in_s": [1.0, 2.0]}, "`audio_length_in_s` has 2 items for a batch of 1"),
            ({"cross_fade_in_s": -0.1}, r"`cross_fade_in_s` is -0\.1"),
            ({"num_inference_steps": 0}, "`num_inference_steps` is 0"),
            ({"guidance_scale": None}, "`guidance_scale` is None"),
            ({"num_waveforms_per_prompt": 0}, "`num_waveforms_per_prompt` is 0"),
            ({"generator": 42}, "`generator` is 42"),
            ({"generator": [generator()] * 2}, "list of 2; expected one for each of 1"),
            ({"output_type": "wav"}, "`output_type` is 'wav'"),
            ({"callback_on_step_end_tensor_inputs": ["noise"]}, r"has \['noise'\]"),
            ({"voice": None}, "Pass either `reference_audio`"),
            ({"voice": "anna"}, "`voice` is 'anna'"),
            ({"voice": {}}, r"`voice` is \{\}"),
            ({"reference_text": "Hello."}, "belong to `reference_audio`"),
            ({"reference_audio": reference()}, "Pass either `reference_audio`"),
        ],
    )
    def test_arguments(self, shared_pipe, voice, arguments, message):
        with pytest.raises(InputError, match=message):
            shared_pipe(**({"transcript": TEXT, "voice": voice} | STEPS | arguments))

    @pytest.mark.parametrize(
        ("audio", "message"),
        [
            (reference(length_in_s=0.9), r"lasts 0\.90 s"),
            (torch.zeros(3 * RATE), r"lasts 3\.00 s, of which 0\.\d\d s are left without silence"),
            (torch.cat([torch.zeros(3 * RATE), reference(length_in_s=0.5)]), r"0\.55 s are left"),
            (torch.full((2 * RATE,), torch.nan), "NaN"),
            (torch.zeros(0), "at least one sample"),
        ],
    )
    def test_references(self, shared_pipe, audio, message):
        with pytest.raises(InputError, match=message):
            shared_pipe.encode_voice(audio, REFERENCE_TEXT, RATE)

    def test_a_silent_reference_is_refused_untrimmed_too(self, shared_pipe):
        with pytest.raises(InputError, match="`reference_audio` is silent"):
            shared_pipe.encode_voice(torch.zeros(3 * RATE), REFERENCE_TEXT, RATE, trim=False)

    def test_a_reference_without_room_is_refused(self, shared_pipe):
        long_voice = shared_pipe.encode_voice(reference(length_in_s=23.0), REFERENCE_TEXT, RATE, trim=False)
        with pytest.raises(InputError, match=r"lasts 23\.0 s and leaves no room"):
            generate(shared_pipe, long_voice)

    @pytest.mark.parametrize(("text", "message"), [("", "without a letter"), ("...", "without a letter"), (3, "is 3")])
    def test_reference_texts(self, shared_pipe, text, message):
        with pytest.raises(InputError, match=message):
            shared_pipe.encode_voice(reference(), text, RATE)

    def test_references_that_do_not_pair_up(self, shared_pipe):
        for audios, texts, message in (
            (2, ["a"], "`reference_audio` has 2 items and `reference_text` 1 for a batch of 1"),
            (1, ["a", "b"], "`reference_audio` has 1 items and `reference_text` 2"),
            (2, "a", "`reference_audio` has 2 items and `reference_text` 1"),
        ):
            with pytest.raises(InputError, match=message):
                generate(
                    shared_pipe,
                    None,
                    reference_audio=[reference()] * audios,
                    reference_text=texts,
                    reference_sampling_rate=RATE,
                )

    @pytest.mark.parametrize(
        ("audio", "rate", "message"),
        [
            (reference(), None, "pass its `reference_sampling_rate`"),
            ("voice.wav", RATE, "`reference_sampling_rate` is 24000, but `reference_audio` is no array"),
            ([0.1, 0.2], RATE, "`reference_audio` is a list of numbers"),
        ],
    )
    def test_references_of_another_kind(self, shared_pipe, audio, rate, message):
        arguments = {"reference_audio": audio, "reference_text": "a", "reference_sampling_rate": rate}
        with pytest.raises(InputError, match=message):
            generate(shared_pipe, None, **arguments)

    def test_nan_audio_is_never_returned(self, pipe, voice):
        with torch.no_grad():
            pipe.transformer.proj_out.weight.fill_(torch.nan)
        with pytest.raises(GenerationError, match="NaN"):
            generate(pipe, voice)
