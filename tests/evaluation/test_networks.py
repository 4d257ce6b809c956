# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import CheckpointError
from deepaudio_diffusers.evaluation.embeddings import EmbeddingCache
from deepaudio_diffusers.evaluation.items import Item, load_item
from deepaudio_diffusers.evaluation.networks import EmotionNetwork, SoundTagger, SpeakerNetwork, weights_hash
from deepaudio_diffusers.evaluation.runner import score_system
from deepaudio_diffusers.evaluation.scorers import PictureScorer, PromptScorer, cosine
from deepaudio_diffusers.media import write_audio
from deepaudio_diffusers.processing.audio import resample
from tests.evaluation.generated import SAMPLING_RATE, vowel
from tests.evaluation.tiny_networks import (
    save_emotion_network,
    save_speaker_network,
    save_tagger,
    tiny_clap,
    tiny_whisper,
)


@pytest.fixture(scope="module")
def speaker_folder(tmp_path_factory):
    return save_speaker_network(tmp_path_factory.mktemp("networks") / "speakers")


def test_speakers_are_compared_by_x_vectors(speaker_folder):
    network = SpeakerNetwork.from_pretrained(str(speaker_folder))
    found = network.hear(vowel(120), SAMPLING_RATE)["embedding"]
    speech = vowel(120)
    # What transformers' feature extractor does with `do_normalize`.
    inputs = (speech - speech.mean()) / torch.sqrt(speech.var(unbiased=False) + 1e-7)
    expected = network.model(inputs[None]).embeddings[0]
    assert found.shape == (12,)
    assert np.allclose(found, expected.numpy(), atol=1e-5)
    assert network.name == "speakers"


def test_emotions_are_the_mean_over_time_of_the_last_layer(tmp_path):
    network = EmotionNetwork.from_pretrained(str(save_emotion_network(tmp_path / "emotions")))
    speech = vowel(120)
    inputs = (speech - speech.mean()) / torch.sqrt(speech.var(unbiased=False) + 1e-7)
    with torch.no_grad():
        expected = network.model(inputs[None]).last_hidden_state[0].mean(0).numpy()
    # Sounds at other rates are resampled first.
    at_24_khz = resample(speech, SAMPLING_RATE, 24_000)
    assert np.allclose(network.hear(speech, SAMPLING_RATE)["embedding"], expected, atol=1e-5)
    assert cosine(network.hear(at_24_khz, 24_000)["embedding"], expected) > 0.99


def test_taggers_give_embeddings_and_logits(tmp_path):
    network = SoundTagger.from_pretrained(str(save_tagger(tmp_path / "tagger")))
    heard = network.hear(vowel(120), SAMPLING_RATE)
    logits = network.model.classifier(torch.from_numpy(heard["embedding"])[None])
    assert heard["logits"] == pytest.approx(logits[0].numpy(), abs=1e-6)
    assert heard["logits"].shape == (5,)


def test_clap_compares_sounds_with_prompts(tmp_path):
    network, cache = tiny_clap(), EmbeddingCache(tmp_path)
    path = tmp_path / "result.wav"
    write_audio(path, vowel(120), SAMPLING_RATE)
    clip = load_item(Item("clip", result=path, prompt="a vowel"))
    score = PromptScorer(network, cache).score(clip)["clap"]
    heard = network.hear(clip.waveform, SAMPLING_RATE)["embedding"]
    read = network.read("a vowel")["embedding"]
    assert score == pytest.approx(heard @ read / np.linalg.norm(heard) / np.linalg.norm(read), abs=1e-5)
    assert cache.num_computed == 2


def test_whisper_hears_words_once(tmp_path):
    network, cache = tiny_whisper(), EmbeddingCache(tmp_path)
    first = cache.transcribe(network, vowel(120), SAMPLING_RATE)
    assert isinstance(first, str)
    assert cache.transcribe(network, vowel(120), SAMPLING_RATE) == first
    assert cache.num_computed == 1


class Loudness:
    """A network of one's own: how loud a sound is; all videos look the same to it."""

    name, revision = "loudness", "1"

    def hear(self, waveform, sampling_rate):
        return {"embedding": np.array([waveform.abs().max().item(), 0.0])}

    def see(self, video):
        return {"embedding": np.array([1.0, 1.0])}


def test_networks_of_ones_own_compare_sounds_with_pictures(tmp_path):
    result, video = tmp_path / "result.wav", tmp_path / "video.mp4"
    write_audio(result, vowel(120), SAMPLING_RATE)
    video.write_bytes(b"video")
    scorer = PictureScorer("loudness", "loudness score", Loudness(), EmbeddingCache(tmp_path))
    scores = score_system("mine", [Item("clip", result=result, video=video), Item("none", video=video)], [scorer])
    assert [record["loudness"] for record in scores.records] == pytest.approx([0.5**0.5, 0.0])
    assert scores.failures == {"none": "missing"}


def test_the_revision_is_that_of_the_weights(speaker_folder, tmp_path):
    network = SpeakerNetwork.from_pretrained(str(speaker_folder))
    assert network.revision == SpeakerNetwork.from_pretrained(str(speaker_folder)).revision
    with torch.no_grad():
        next(network.model.parameters()).add_(1e-3)
    assert weights_hash(network.model) != network.revision


def test_missing_weights_are_named_with_the_way_to_them(tmp_path):
    with pytest.raises(CheckpointError, match=r"WavLMForXVector for comparing voices.*hf download microsoft/wavlm"):
        SpeakerNetwork.from_pretrained(str(tmp_path))


def test_weights_that_would_be_drawn_at_random_are_refused(tmp_path):
    folder = save_emotion_network(tmp_path / "emotions")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "wavlm"}))
    with pytest.raises(CheckpointError, match="by chance"):
        SpeakerNetwork.from_pretrained(str(folder))


def test_weights_of_another_network_are_refused(tmp_path):
    folder = save_tagger(tmp_path / "tagger")
    with pytest.raises(CheckpointError):
        SpeakerNetwork.from_pretrained(str(folder))


def test_a_network_is_asked_once_for_each_content(speaker_folder, tmp_path):
    network = SpeakerNetwork.from_pretrained(str(speaker_folder))
    cache = EmbeddingCache(tmp_path)
    first = cache.hear(network, vowel(120), SAMPLING_RATE)["embedding"]
    cache.hear(network, vowel(121), SAMPLING_RATE)
    again = EmbeddingCache(tmp_path)
    assert np.array_equal(again.hear(network, vowel(120).clone(), SAMPLING_RATE)["embedding"], first)
    assert (cache.num_computed, again.num_computed) == (2, 0)
    # Another rate is another sound.
    again.hear(network, vowel(120), 8_000)
    assert again.num_computed == 1


def test_a_damaged_file_of_the_cache_is_made_anew(speaker_folder, tmp_path):
    network = SpeakerNetwork.from_pretrained(str(speaker_folder))
    first = EmbeddingCache(tmp_path).hear(network, vowel(120), SAMPLING_RATE)["embedding"]
    next(tmp_path.rglob("*.safetensors")).write_bytes(b"half a file")
    cache = EmbeddingCache(tmp_path)
    assert np.array_equal(cache.hear(network, vowel(120), SAMPLING_RATE)["embedding"], first)
    assert cache.num_computed == 1
