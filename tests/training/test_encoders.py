# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import default_collate
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

from deepaudio_diffusers import CLIPFrameEncoder, ConvVideoEncoder, SynchformerVideoEncoder
from deepaudio_diffusers.errors import CheckpointError, InputError
from deepaudio_diffusers.media.encode import encode_video
from deepaudio_diffusers.training.data import DataReport
from deepaudio_diffusers.training.encoder_losses import (
    augment_frames,
    encoder_loss,
    info_nce,
    sound_contrast,
    text_contrast,
    text_encoder_loss,
)
from deepaudio_diffusers.training.encoders import (
    EncoderHeads,
    SegmentDataset,
    cache_clips,
    correlation,
    learn_clip_tokenizer,
    regress_mel,
    resample_frames,
    segment_features,
    set_mel_statistics,
    target_mel,
    tokenize,
    validate_encoders,
    zero_shot_accuracy,
)
from tests.training.sounding_clips import SAMPLING_RATE, tone_clip, tone_sample, wav_of, write_shard, write_tone_clips


FRAME_SIZE = 48
NUM_MELS = 80
PROMPTS = ["a ball bouncing", "a wooden block is struck", "two balls, bouncing!"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    clips = write_tone_clips(folder / "data", 8)
    return cache_clips(folder / "cache", [str(clips)], FRAME_SIZE, FRAME_SIZE, DataReport())


@pytest.fixture(scope="module")
def tokenizer(cache):
    return learn_clip_tokenizer([metadata["prompt"] for metadata in cache.metadata], 12)


def synchformer() -> SynchformerVideoEncoder:
    return SynchformerVideoEncoder(
        hidden_size=48, num_layers=2, num_attention_heads=2, mlp_ratio=2.0, image_size=FRAME_SIZE, patch_size=16
    )


def conv_encoder() -> ConvVideoEncoder:
    return ConvVideoEncoder(hidden_size=48, frame_channels=(8, 16, 32), temporal_size=48)


@pytest.fixture(params=[synchformer, conv_encoder])
def networks(request, cache, tokenizer):
    torch.manual_seed(0)
    video_encoder = request.param()
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    image_config = CLIPVisionConfig(**sizes, image_size=FRAME_SIZE, patch_size=16, projection_dim=16)
    text_config = CLIPTextConfig(
        **sizes,
        vocab_size=len(tokenizer),
        max_position_embeddings=12,
        projection_dim=16,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    heads = EncoderHeads(48, 32, 16, hidden_size=64, embedding_size=16)
    set_mel_statistics(heads, [cache.array("mel", index) for index in range(len(cache))])
    return {
        "video_encoder": video_encoder,
        "image_encoder": CLIPFrameEncoder(image_config),
        "text_encoder": CLIPTextModel(text_config),
        "heads": heads,
    }


class Told(nn.Module):
    """Stands for a mel head whose features are the mels themselves."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def heads_told_by_features() -> EncoderHeads:
    heads = EncoderHeads(320, 32, 16, hidden_size=8, embedding_size=4)
    heads.mel_head = Told()
    return heads


def test_clips_are_cached_with_pictures_sounds_and_metadata(cache):
    assert len(cache) == 8
    assert set(cache.lengths("sync_frames")) == {32} and set(cache.lengths("mel")) == {64}
    # 1.28 s hold ten frames at 8 a second.
    assert cache.array("clip_frames", 0).shape == (10, 3, FRAME_SIZE, FRAME_SIZE)
    assert cache.array("sync_frames", 3).dtype == np.uint8 and cache.array("mel", 3).dtype == np.float16
    assert cache.metadata[1]["prompt"] == "a high tone" and cache.metadata[1]["classes"] == ["high"]
    _, _, onset_in_s = tone_clip(2, "low")
    onset = round(onset_in_s * 25)
    frames = cache.array("sync_frames", 2)
    # Where the dot is from the onset on.
    assert frames[onset, 0, 24, 33] > 150 > 90 > frames[onset - 1, 0, 24, 33]


def test_what_cannot_be_used_is_counted_by_reason(tmp_path):
    good = tone_sample(0)
    frames, waveform, _ = tone_clip(0, "low")
    samples = [
        good,
        {"mp4": encode_video(frames[:10], 25), "wav": wav_of(waveform)},
        good | {"wav": wav_of(waveform[:4000])},
        good | {"wav": wav_of(0 * waveform)},
        {"mp4": good["mp4"]},
        {"wav": good["wav"]},
        good | {"mp4": b"no video"},
    ]
    write_shard(tmp_path / "data" / "a.tar", samples)
    report = DataReport()
    cached = cache_clips(tmp_path / "cache", [str(tmp_path / "data")], FRAME_SIZE, FRAME_SIZE, report)
    assert len(cached) == report.used == 1
    assert sum(report.reasons.values()) == 6
    assert set(report.reasons) == {
        "its pictures cannot be used",
        "its sound is shorter than 0.64 s",
        "its sound is digital silence",
        "its sound cannot be read",
        "it has no pictures",
    }
    with pytest.raises(InputError, match="other settings"):
        cache_clips(tmp_path / "cache", [str(tmp_path / "data")], FRAME_SIZE, 32, DataReport())


def test_a_clip_without_prompt_has_an_empty_one(tmp_path):
    sample = tone_sample(0)
    del sample["json"]
    write_shard(tmp_path / "data" / "a.tar", [sample])
    cached = cache_clips(tmp_path / "cache", [str(tmp_path / "data")], FRAME_SIZE, FRAME_SIZE, DataReport())
    assert cached.metadata[0]["prompt"] == "" and cached.metadata[0]["classes"] is None


@pytest.mark.parametrize("time_in_s", [0.2, 0.5, 1.01])
def test_targets_lie_where_the_frames_are(time_in_s):
    waveform = torch.zeros(SAMPLING_RATE * 32 // 25)
    waveform[round(time_in_s * SAMPLING_RATE)] = 0.9
    mel = target_mel(waveform, 32)
    assert mel.shape == (64, NUM_MELS)
    assert abs((mel.mean(dim=1).argmax().item() + 0.5) / 50 - time_in_s) < 0.02


def test_resampling_keeps_times():
    frames = torch.linspace(0.0, 1.0, 50)[:, None] * torch.ones(1, 3)
    assert torch.equal(resample_frames(frames, 50, 50, 50), frames)
    there_and_back = resample_frames(resample_frames(frames, 50, 62.5, 62), 62.5, 50, 49)
    torch.testing.assert_close(there_and_back[2:-2], frames[2:47])


def test_words_of_the_prompts_become_tokens(tmp_path):
    tokenizer = learn_clip_tokenizer(PROMPTS, 10)
    ids = tokenize(PROMPTS, tokenizer)
    assert ids.shape == (3, 10)
    # A start, three words, an end, and padding with 0.
    assert ids[0, 5:].eq(0).all() and ids[0, 4] == tokenizer.eos_token_id
    assert tokenizer.decode(ids[1], skip_special_tokens=False).startswith("<|startoftext|>a wooden block is struck ")
    tokenizer.save_pretrained(tmp_path)
    assert torch.equal(tokenize(PROMPTS, CLIPTokenizer.from_pretrained(tmp_path)), ids)
    # Words that were never seen are spelt.
    unknown = tokenizer(["a zebra"]).input_ids[0]
    assert len(unknown) > 4 and "zebra" in tokenizer.decode(unknown)


def test_the_same_prompts_make_the_same_tokenizer():
    assert learn_clip_tokenizer(PROMPTS, 10).get_vocab() == learn_clip_tokenizer(PROMPTS, 10).get_vocab()


def test_items_are_all_segments_of_all_clips(cache, tokenizer):
    dataset = SegmentDataset(cache, tokenizer)
    # 32 frames have 17 segments of 16.
    assert len(dataset) == 8 * 17
    item = dataset[2 * 17 + 5]
    np.testing.assert_array_equal(item["sync_frames"], cache.array("sync_frames", 2)[5:21])
    np.testing.assert_array_equal(item["mel"], cache.array("mel", 2)[10:42])
    assert item["clip_frames"].shape == (4, 3, FRAME_SIZE, FRAME_SIZE)
    assert dataset[0]["label"] == item["label"] != dataset[17]["label"]


def test_heads_put_frames_in_order():
    heads = heads_told_by_features()
    # What frame `f` is told by: features 0 to 7 tell frames 4 to 11, and those of the margin besides.
    central, margin = torch.arange(4.0, 12.0), torch.tensor([0.0, 1, 2, 3, 12, 13, 14, 15])
    features = torch.stack([central, margin], dim=-1).repeat_interleave(2 * NUM_MELS, dim=-1)[None]
    expected = torch.arange(16.0).repeat_interleave(2)[None, :, None].expand(-1, -1, NUM_MELS)
    assert torch.equal(heads(features), expected)


def test_segments_tile_a_clip():
    heads = heads_told_by_features()
    heads.mel_mean.fill_(100.0)
    heads.mel_std.fill_(2.0)
    frames = torch.stack([torch.arange(16.0) + start for start in (0, 8, 16)])
    central, margin = frames[:, 4:12], torch.cat([frames[:, :4], frames[:, 12:]], dim=1)
    features = torch.stack([central, margin], dim=-1).repeat_interleave(2 * NUM_MELS, dim=-1)
    mel = regress_mel(heads, features)
    assert torch.equal(mel[:, 0], 100 + 2 * torch.arange(32.0).repeat_interleave(2))


def test_features_are_those_of_the_segments(cache, networks):
    frames = torch.from_numpy(cache.array("sync_frames", 0).copy())
    features = segment_features(networks["video_encoder"], frames, segments_per_batch=2)
    assert features.shape == (3, 8, 48)
    alone = segment_features(networks["video_encoder"], frames[8:24])
    torch.testing.assert_close(alone[0], features[1])


def test_augmentation_changes_items_not_shapes():
    torch.manual_seed(0)
    frames = torch.zeros(8, 3, 3, 16, 16)
    changed = augment_frames(frames.clone())
    assert changed.shape == frames.shape
    colours = changed.mean(dim=(-1, -2))
    # One colour for all frames of an item, another one for each item.
    assert colours.std(dim=1).max() < 0.01 and colours[:, 0].std(dim=0).min() > 0.02


@pytest.mark.parametrize("mixed_precision", [False, True])
def test_all_networks_learn(cache, tokenizer, networks, mixed_precision):
    dataset = SegmentDataset(cache, tokenizer)
    batch = default_collate([dataset[index] for index in range(3, len(dataset), 12)])
    parameters = [parameter for network in networks.values() for parameter in network.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    losses = []
    for step in range(12):
        torch.manual_seed(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed_precision):
            loss, figures = encoder_loss(networks, batch)
        assert loss.dtype == torch.float32 and all(torch.isfinite(figure) for figure in figures.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.93 * losses[0]
    assert all(parameter.grad is not None for parameter in parameters)


def test_the_sound_of_a_segment_is_told_from_others():
    torch.manual_seed(0)
    heads = EncoderHeads(16, 32, 16, hidden_size=32, embedding_size=16)
    mel = torch.randn(12, 32, NUM_MELS)
    # Features that hold what is heard in the central frames.
    features = (mel[:, 8:24].unflatten(1, (8, 2)).flatten(2) @ torch.randn(2 * NUM_MELS, 16)) / 12
    optimizer = torch.optim.Adam(heads.parameters(), lr=3e-3)
    for _ in range(60):
        loss = sound_contrast(heads, features, mel)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert sound_contrast(heads, features, mel) < 0.5 < sound_contrast(heads, features.roll(1, 0), mel)
        # The same sounds, a little too late.
        assert sound_contrast(heads, features, mel.roll(8, dims=1)) > 0.5


def test_prompts_are_told_apart_by_what_only_sounds_tell(cache, tokenizer, networks):
    """Pictures that are all alike leave it to the sounds: low and high tones."""
    dataset = SegmentDataset(cache, tokenizer)
    batch = default_collate([dataset[index] for index in range(8, len(dataset), 17)])
    batch["clip_frames"] = batch["clip_frames"][:1].expand_as(batch["clip_frames"])
    texts, heads = networks["text_encoder"], networks["heads"]
    optimizer = torch.optim.AdamW([*texts.parameters(), *heads.parameters()], lr=3e-3)
    for step in range(40):
        torch.manual_seed(step)
        loss, _ = text_encoder_loss(networks, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        sounds = heads.embed_sounds_for_texts(heads.normalize_mel(batch["mel"]))
        prompts = heads.embed_texts_for_sounds(texts(batch["input_ids"]).pooler_output)
    nearest = (sounds @ prompts.T).argmax(dim=1)
    assert torch.equal(batch["input_ids"][nearest], batch["input_ids"])
    assert len(batch["input_ids"].unique(dim=0)) == 2


def test_sounds_for_prompts_may_begin_at_any_time():
    torch.manual_seed(0)
    heads = EncoderHeads(16, 32, 16, hidden_size=32, embedding_size=16)
    blow = torch.randn(1, 6, NUM_MELS)
    early, late, other = (
        F.pad(sound, (0, 0, start, 34 - start)) for sound, start in ((blow, 4), (blow, 20), (blow.flip(1), 4))
    )
    embeddings = heads.embed_sounds_for_texts(torch.cat([early, late, other]))
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(embeddings[0], embeddings[1])
    assert embeddings[0] @ embeddings[2] < 0.999
    assert heads.embed_sounds_for_texts(early[:, :20]).shape == (1, 16)


def test_contrast_counts_both_directions():
    first, second = torch.eye(3), torch.eye(3)[[0, 1, 1]]
    # Two of the first are found once and twice among the second, the third not at all.
    logits = math.exp(2) * first @ second.T
    rows, columns = (F.cross_entropy(each, torch.arange(3)).item() for each in (logits, logits.T))
    assert rows != pytest.approx(columns, abs=0.1)
    assert info_nce(first, second, torch.tensor(2.0)).item() == pytest.approx((rows + columns) / 2, abs=1e-5)
    # Logarithms of scales beyond 4 count as 4.
    assert info_nce(first, second, torch.tensor(9.0)) == info_nce(first, second, torch.tensor(4.0))


def test_prompts_of_the_same_classes_are_less_wrong():
    images = torch.eye(4)
    scale = torch.tensor(2.0)
    other = text_contrast(images, images, scale, torch.arange(4))
    same = text_contrast(images, images, scale, torch.zeros(4))
    assert same < other < text_contrast(images, images.roll(1, 0), scale, torch.arange(4))


def test_heads_are_saved_with_their_sizes(networks, tmp_path):
    heads = networks["heads"].eval()
    heads.save(tmp_path)
    loaded = EncoderHeads.load(tmp_path)
    features = torch.randn(2, 8, 48)
    assert torch.equal(loaded(features), heads(features))
    assert loaded.mel_mean == heads.mel_mean != 0
    with pytest.raises(CheckpointError, match="output folder of train_encoders"):
        EncoderHeads.load(tmp_path / "nowhere")
    del heads.listener_head
    heads.save(tmp_path)
    with pytest.raises(CheckpointError, match=r"another version.*listener_head"):
        EncoderHeads.load(tmp_path)


def test_statistics_normalise_mels(cache, networks):
    mel = torch.cat([torch.from_numpy(cache.array("mel", index).copy()) for index in range(len(cache))])
    normalized = networks["heads"].normalize_mel(mel)
    assert abs(normalized.mean()) < 1e-2 and abs(normalized.std() - 1) < 1e-2
    torch.testing.assert_close(networks["heads"].denormalize_mel(normalized), mel.float(), atol=1e-3, rtol=0)


def test_validation_reports_figures_and_pictures(cache, networks, tokenizer):
    for network in networks.values():
        network.eval()
    figures, pictures = validate_encoders(networks, cache, [0, 1, 2, 5], tokenizer)
    assert set(figures) == {"mel_mse", "energy_r", "retrieval", "class_accuracy", "energy_r/low", "energy_r/high"}
    assert all(math.isfinite(figure) for figure in figures.values())
    assert json.dumps(figures)
    assert [list(picture) for picture in pictures] == [["true", "regressed by the video encoder"]] * 4
    assert {mel.shape for picture in pictures for mel in picture.values()} == {(64, NUM_MELS)}


def test_class_accuracy_looks_at_single_things():
    images, texts = torch.eye(3), torch.eye(3)
    known = [{"classes": [name], "visible": [name]} for name in ("bell", "rain", "saw")]
    assert zero_shot_accuracy(images, texts, known) == 1
    assert zero_shot_accuracy(images, texts.roll(1, 0), known) == 0
    both = {"classes": ["bell", "rain"], "visible": ["bell", "rain"]}
    one_of_two = {"classes": ["bell"], "visible": ["bell", "rain"]}
    assert zero_shot_accuracy(images, texts.roll(1, 0), [both, one_of_two, known[2]]) == 1
    assert math.isnan(zero_shot_accuracy(images, texts, [both] * 3))


def test_correlation_of_contours():
    rising = torch.arange(5.0)
    assert correlation(rising, 2 * rising + 3) == pytest.approx(1)
    assert correlation(rising, -rising) == pytest.approx(-1)
    assert correlation(rising, torch.ones(5)) == 0
