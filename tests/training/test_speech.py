# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The cache of speech, and texts laid along its frames."""

import numpy as np
import pytest
import torch

from deepaudio_diffusers import F5TTSTokenizer
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.phone_timing import PhoneStatistics
from deepaudio_diffusers.processing.tokenization_phones import PhoneTokenizer, write_phone_statistics
from deepaudio_diffusers.training.data import DataReport
from deepaudio_diffusers.training.speech import (
    SILENT_LOG_MEL,
    SpeechDataset,
    TextTimings,
    TextTokens,
    build_speech_cache,
)
from tests.golden import FIXTURES
from tests.training.sounding_clips import wav_of, write_shard
from tests.training.timed_speech import PITCHES_IN_HZ, speech_sample, utterance, write_lexicon, write_speech


MEL = {"sampling_rate": 16_000, "n_fft": 1024, "hop_length": 256, "num_mels": 20, "mel_type": "bigvgan"}
FRAMES_PER_SECOND = 62.5
NUM_UTTERANCES = 8


def build(folder, source, report=None, **changes):
    settings = {"min_length_in_s": 0.1, "max_length_in_s": 10.0} | changes
    return build_speech_cache(folder, [source], MEL, report=report or DataReport(), **settings)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_speech(tmp_path_factory.mktemp("speech"), NUM_UTTERANCES)


@pytest.fixture(scope="module")
def timings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    phones = ("pau", *sorted(PITCHES_IN_HZ))
    ones = np.ones(len(phones))
    write_phone_statistics(folder / "phones.json", PhoneStatistics(phones, 0.1 * ones, 0.3 * ones, -ones, ones))
    tokenizer = PhoneTokenizer(write_lexicon(folder / "lexicon.txt"), folder / "phones.json")
    return TextTimings(tokenizer, FRAMES_PER_SECOND)


@pytest.fixture(scope="module")
def tokens():
    return TextTokens(F5TTSTokenizer(str(FIXTURES / "f5tts" / "vocab.txt"), mode="char"))


@pytest.fixture(scope="module")
def dataset(source, timings, tmp_path_factory):
    report = DataReport()
    return SpeechDataset(build(tmp_path_factory.mktemp("cache"), source, report), timings, report)


class TestCache:
    def test_holds_each_utterance(self, dataset):
        assert len(dataset) == NUM_UTTERANCES
        for index in range(NUM_UTTERANCES):
            waveform, metadata = utterance(index, ["low", "high"][index % 2])
            item = dataset[index]
            num_frames = len(waveform) // 256
            assert item["mel"].shape == (num_frames, 20)
            assert item["energy"].shape == (num_frames,)
            assert item["energy"].max() == 1
            assert dataset.utterances[index]["transcript"] == metadata["transcript"]

    def test_is_computed_once(self, source, tmp_path):
        build(tmp_path, source)
        files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        report = DataReport()
        build(tmp_path, source, report)
        assert report.used == NUM_UTTERANCES
        assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files

    def test_of_other_settings_is_refused(self, source, tmp_path):
        build(tmp_path, source)
        with pytest.raises(InputError, match="cache_dir"):
            build(tmp_path, source, max_length_in_s=5.0)

    def test_counts_what_cannot_be_used(self, tmp_path):
        silence = np.zeros(16_000)
        samples = [
            speech_sample(0),
            speech_sample(1, transcript=" "),
            speech_sample(2, transcript=None),
            {"json": speech_sample(3)["json"]},
            speech_sample(4) | {"wav": b"no sound"},
            speech_sample(5) | {"wav": wav_of(silence)},
            speech_sample(6) | {"wav": wav_of(0.1 + silence[:2000])},
            speech_sample(7) | {"wav": wav_of(np.tile(0.1 + silence, 3))},
        ]
        write_shard(tmp_path / "data" / "speech-000000.tar", samples)
        for _ in range(2):  # the second time from what the cache remembers
            report = DataReport()
            build(tmp_path / "cache", tmp_path / "data", report, min_length_in_s=0.2, max_length_in_s=2.0)
            assert report.used == 1
            assert report.reasons == {
                "it has no transcript": 2,
                "it has no sound": 1,
                "its sound cannot be read": 1,
                "it is silent": 1,
                "it is too short": 1,
                "it is too long": 1,
            }

    def test_bad_data_can_be_an_error(self, tmp_path):
        write_shard(tmp_path / "data" / "speech-000000.tar", [speech_sample(0, transcript="")])
        with pytest.raises(InputError, match="no transcript"):
            build(tmp_path / "cache", tmp_path / "data", DataReport(on_bad_data="error"))

    def test_prefers_the_stem_of_the_speech(self, tmp_path):
        speech, other = speech_sample(0), speech_sample(1)
        mixed = {"wav": other["wav"], "speech.wav": speech["wav"], "json": speech["json"]}
        write_shard(tmp_path / "speech" / "speech-000000.tar", [speech])
        write_shard(tmp_path / "mixed" / "speech-000000.tar", [mixed])
        caches = [build(tmp_path / f"cache-{name}", tmp_path / name) for name in ("speech", "mixed")]
        assert np.array_equal(caches[0].array("mel", 0), caches[1].array("mel", 0))

    def test_predicted_contours_have_the_length_of_the_frames(self, source, tmp_path, timings):
        samples = [speech_sample(0) | {"mp4": b"a picture"}, speech_sample(1)]
        write_shard(tmp_path / "data" / "speech-000000.tar", samples)
        report = DataReport()
        predictor = {"predict_contour": lambda sample: torch.full((10,), 0.25), "predictor": ("net", [1])}
        cache = build(tmp_path / "cache", tmp_path / "data", report, **predictor)
        item = SpeechDataset(cache, timings, report, has_predictions=True)[0]
        assert item["predicted_energy"][:10].tolist() == [0.25] * 10
        assert not item["predicted_energy"][10:].any()
        assert item["predicted_energy"].shape == item["energy"].shape
        assert report.reasons == {"it has no picture": 1}


class TestText:
    def test_each_frame_has_the_phone_in_its_middle(self, timings):
        utterance = {"phones": [["pau", 0, 0.1], ["aa", 0.1, 0.2], ["b", 0.2, 0.3]], "num_frames": 24}
        names = list(timings.ids)
        for frame, phone_id in enumerate(timings(utterance)):
            time_in_s = (frame + 0.5) / FRAMES_PER_SECOND
            expected = next((name for name, start, end in utterance["phones"] if start <= time_in_s < end), "pau")
            assert names[phone_id] == expected

    def test_speech_span_keeps_a_little_pause(self, timings):
        utterance = {"phones": [["pau", 0, 1.0], ["aa", 1.0, 1.5], ["pau", 1.5, 3.0]], "num_frames": 187}
        assert timings.speech_span(utterance) == (60, 96)

    @pytest.mark.parametrize(
        ("phones", "reason"), [(None, "no timings"), ([["pau", 0, 1]], "no timings"), ([["zh", 0, 1]], "zh")]
    )
    def test_utterances_without_known_phones_are_left_out(self, timings, phones, reason):
        assert reason in timings.why_unusable({"phones": phones})

    def test_tokens_of_a_joined_text_begin_with_the_prompt(self, tokens):
        ids = tokens({"transcript": "ab"}, {"transcript": "see"})
        assert ids.tolist() == tokens.tokenizer("see.  ab").input_ids

    def test_more_tokens_than_frames_are_left_out(self, tokens):
        assert tokens.why_unusable({"transcript": "a" * 20, "num_frames": 20}) == "it has more tokens than frames"
        assert tokens.why_unusable({"transcript": "a" * 19, "num_frames": 20}) is None

    def test_nothing_left_is_an_error(self, source, tokens, timings, tmp_path):
        write_shard(tmp_path / "data" / "speech-000000.tar", [speech_sample(0, phones=None)])
        report = DataReport()
        with pytest.raises(InputError, match="no timings"):
            SpeechDataset(build(tmp_path / "cache", tmp_path / "data", report), timings, report)


class TestPrompts:
    def test_partner_is_another_utterance_of_the_speaker(self, dataset):
        for index in range(NUM_UTTERANCES):
            partners = {dataset.partner(index, quantile) for quantile in np.linspace(0, 1, 9)}
            assert partners == set(range(index % 2, NUM_UTTERANCES, 2)) - {index}

    def test_joined_frames_and_silence_stand_in_order(self, dataset):
        item, prompt = dataset[0], dataset[2]
        first, end = dataset.text.speech_span(dataset.utterances[2])
        joined = dataset.with_prompt(item, 2, "energy", num_silent_before=3, num_silent_after=5)
        num_prompt = end - first
        assert joined["prompt_length"] == num_prompt
        for name, silent in (("mel", SILENT_LOG_MEL), ("energy", 0.0), ("text_ids", 0)):
            parts = [num_prompt, 3, len(item["mel"]), 5]
            known, before, new, after = joined[name].split(parts)
            assert torch.equal(known, prompt[name][first:end])
            assert torch.equal(new, item[name])
            assert (before == silent).all()
            assert (after == silent).all()

    def test_without_a_contour_there_is_none_in_the_prompt_either(self, dataset):
        assert not dataset.with_prompt(dataset[0], 2)["energy"].any()

    def test_texts_that_do_not_follow_the_frames_are_joined_as_texts(self, source, tokens, tmp_path):
        report = DataReport()
        dataset = SpeechDataset(build(tmp_path, source, report), tokens, report)
        joined = dataset.with_prompt(dataset[0], 2)
        assert joined["prompt_length"] == dataset.lengths[2]
        assert torch.equal(joined["text_ids"], tokens(dataset.utterances[0], dataset.utterances[2]))
