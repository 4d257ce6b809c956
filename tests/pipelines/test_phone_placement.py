# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`TextToSpeechPipeline` with a network that is told when each phone is spoken."""

import numpy as np
import pytest
import torch

from deepaudio_diffusers import InputError, PhoneTokenizer, TextToSpeechPipeline
from deepaudio_diffusers.processing.lexicon import write_lexicon
from deepaudio_diffusers.processing.phone_timing import PhoneStatistics
from deepaudio_diffusers.processing.tokenization_phones import write_phone_statistics
from tests.tiny import SPEECH_MELS, tiny_speech_components


RATE, HOP = 16_000, 256
LEXICON = {"bee": ["b", "iy"], "tea": ["t", "iy"], "sea": ["s", "iy"]}
PHONES = ("pau", "b", "iy", "s", "t")
MEL = {"mel_type": "bigvgan", "sampling_rate": RATE, "n_fft": 1024, "hop_length": HOP}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    statistics = PhoneStatistics(
        PHONES,
        durations_in_s=np.array([0.2, 0.06, 0.15, 0.1, 0.07]),
        duration_spreads=np.full(5, 0.4),
        levels=np.log([0.02, 0.2, 0.9, 0.1, 0.1]),
        level_spreads=np.full(5, 0.4),
    )
    write_lexicon(folder / "lexicon.txt", LEXICON)
    write_phone_statistics(folder / "phones.json", statistics)
    return PhoneTokenizer(folder / "lexicon.txt", folder / "phones.json")


def make_pipeline(tokenizer, **config) -> TextToSpeechPipeline:
    components = tiny_speech_components(vocab_size=len(PHONES), energy_conditioning=True, **MEL, **config)
    vocoder = components["vocoder"]
    components["vocoder"] = type(vocoder).from_config(vocoder.config, padding="same", sampling_rate=RATE).eval()
    pipeline = TextToSpeechPipeline(**components | {"tokenizer": tokenizer})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipe(tokenizer):
    return make_pipeline(tokenizer)


def recording(bursts_in_s: list[tuple[float, float]], length_in_s: float) -> torch.Tensor:
    """Noise that is loud between some times."""
    noise = 0.3 * torch.randn(round(length_in_s * RATE), generator=torch.Generator().manual_seed(0))
    loudness = torch.full_like(noise, 0.01)
    for start_in_s, end_in_s in bursts_in_s:
        loudness[round(start_in_s * RATE) : round(end_in_s * RATE)] = 1.0
    return noise * loudness


@pytest.fixture(scope="module")
def voice(pipe):
    return pipe.encode_voice(recording([(0.2, 0.6), (0.9, 1.4)], 1.6), "bee tea", RATE, trim=False)


def token_ids(pipe, voice, transcript, **arguments) -> torch.Tensor:
    (passage,) = pipe.prepare_passages(transcript, voice, **arguments)
    return pipe._infilling(passage).token_ids


def speak(pipe, voice, transcript, **arguments):
    generator = torch.Generator().manual_seed(0)
    return pipe(transcript, voice=voice, num_inference_steps=2, generator=generator, output_type="pt", **arguments)


def test_there_is_one_phone_for_each_frame(pipe, voice):
    ids = token_ids(pipe, voice, "sea bee", audio_length_in_s=1.0)
    num_known = voice.mel.shape[0]
    assert len(ids) == num_known + 63
    assert torch.unique_consecutive(ids[num_known:]).tolist() == [0, 3, 2, 1, 2, 0]
    # Those of the reference lie where it is loud.
    loud = voice.energy > 0.3
    spoken = ids[:num_known] == PHONES.index("iy")
    assert loud[spoken].float().mean() > 0.9


def test_a_contour_says_when_words_are_spoken(pipe, voice):
    energy = torch.zeros(125)
    energy[20:40] = 1.0
    energy[90:110] = 1.0
    ids = token_ids(pipe, voice, "bee tea", energy=energy)[voice.mel.shape[0] :]
    vowels = (ids == PHONES.index("iy")).nonzero().flatten()
    assert ((vowels >= 17) & (vowels < 43) | (vowels >= 87) & (vowels < 113)).all()
    assert (ids[50:80] == 0).all()
    late = token_ids(pipe, voice, "bee tea", energy=energy.roll(10))[voice.mel.shape[0] :]
    assert (late.roll(-10) == ids).float().mean() > 0.9


def test_a_contour_of_zeros_says_nothing(pipe, voice):
    without = token_ids(pipe, voice, "bee tea", audio_length_in_s=2.0)
    assert torch.equal(token_ids(pipe, voice, "bee tea", energy=torch.zeros(125)), without)
    # How loud it is all in all does not matter either.
    energy = torch.rand(125, generator=torch.Generator().manual_seed(0))
    loud, soft = (token_ids(pipe, voice, "bee tea", energy=scale * energy) for scale in (1.0, 0.25))
    assert torch.equal(loud, soft)


def test_speech_is_as_long_as_asked_for(pipe, voice):
    assert speak(pipe, voice, "sea bee tea", audio_length_in_s=1.234).audios.shape == (1, 1, round(1.234 * RATE))
    first = speak(pipe, voice, "sea bee", audio_length_in_s=1.0).audios
    assert not torch.equal(first, speak(pipe, voice, "bee sea", audio_length_in_s=1.0).audios)


def test_words_that_the_lexicon_lacks_are_named(pipe, voice):
    with pytest.raises(InputError, match="'coffee'"):
        speak(pipe, voice, "tea coffee")


def test_too_little_time_is_refused(pipe, voice):
    with pytest.raises(InputError, match="audio_length_in_s"):
        speak(pipe, voice, "bee tea sea bee", audio_length_in_s=0.1)


def test_edits_are_refused(pipe):
    with pytest.raises(InputError, match="reads letters"):
        pipe.edit(recording([(0.2, 1.0)], 1.5), "bee sea", [(0.3, 0.6)], sampling_rate=RATE)


def test_the_mel_scale_of_the_network(tokenizer, pipe, voice):
    """Normalised spectrograms are what the network sees; the vocoder hears them as they were."""
    scaled = make_pipeline(tokenizer, mel_mean=-6.0, mel_std=2.0)
    waveform = recording([(0.2, 0.6), (0.9, 1.4)], 1.6)
    mel = scaled.encode_voice(waveform, "bee tea", RATE, trim=False).mel
    assert torch.allclose(mel * 2.0 - 6.0, voice.mel, atol=1e-5)
    assert mel.shape[1] == SPEECH_MELS
    assert torch.allclose(scaled.decode_latents(mel), pipe.decode_latents(voice.mel), atol=1e-4)


def test_a_folder_keeps_the_tokenizer(pipe, voice, tmp_path):
    pipe.save_pretrained(tmp_path)
    loaded = TextToSpeechPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert isinstance(loaded.tokenizer, PhoneTokenizer)
    expected = speak(pipe, voice, "sea bee", audio_length_in_s=1.0).audios
    again = speak(loaded, voice, "sea bee", audio_length_in_s=1.0).audios
    # Up to rounding: weights lie elsewhere in memory.
    assert torch.allclose(again, expected, atol=1e-5)
