# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Synchformer as a whole: equal to the original, and at home in diffusers.

The fixture was recorded from hkchengrex/av-benchmark by benchmarks/synchformer_original.py.
"""

import pytest
import torch

from deepaudio_diffusers import Synchformer
from deepaudio_diffusers.conversion.synchformer_whole import convert_whole_synchformer
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.audio import synchformer_mel
from tests.golden import load_golden, relative_error, weights_of


# Differences in float32 come from the order of sums alone.
TOLERANCE = 1e-5

TINY = {
    "hidden_size": 24,
    "num_video_layers": 1,
    "num_audio_layers": 2,
    "num_sync_layers": 2,
    "num_attention_heads": 3,
    "num_sync_heads": 4,
    "image_size": 16,
    "patch_size": 8,
    "num_frames": 6,
    "num_mel_bins": 30,
    "num_mel_frames": 40,
    "mel_patch_size": 10,
    "num_segments": 3,
    "num_offsets": 5,
}


def golden_segments() -> torch.Tensor:
    """The segments that the fixture was made from, `(1, 14, 16, 3, 224, 224)`, given there by a formula."""
    t, c, h, w = torch.meshgrid(*(torch.arange(size) for size in (120, 3, 224, 224)), indexing="ij")
    values = (131 * t + 17 * c + 7 * h + 13 * w + 5 * ((h * w) % 11) + (t * h) % 23) % 256
    return ((values.float() / 255 - 0.5) / 0.5).unfold(0, 16, 8).permute(0, 4, 1, 2, 3)[None]


def golden_waveform() -> torch.Tensor:
    """The sound that the fixture was made from, `(1, 76800)`, given there by a formula."""
    n = torch.arange(76_800)
    return (((n * (n % 977) + 31 * n) % 2003).float() / 4006 - 0.25)[None]


@pytest.fixture(scope="module")
def golden():
    return load_golden("synchformer/whole_tiny")


@pytest.fixture(scope="module")
def converted(golden):
    # Its heads are 4 and 8 wide, which shapes do not tell.
    return convert_whole_synchformer(weights_of(golden), num_attention_heads=4, num_sync_heads=2)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Synchformer(**TINY).eval()


@pytest.fixture(scope="module")
def inputs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, 6, 3, 16, 16, generator=generator), torch.randn(2, 3, 40, 30, generator=generator)


@torch.no_grad()
def test_pictures_are_seen_as_by_the_original(golden, converted):
    # Some of the segments: each is seen by itself.
    chosen = [0, 6, 13]
    features = converted.encode_video(golden_segments()[:, chosen])
    assert relative_error(features, golden["out.video_features"][:, chosen]) < TOLERANCE


@torch.no_grad()
def test_sound_is_heard_as_by_the_original(golden, converted):
    mel = synchformer_mel(golden_waveform())
    assert mel.shape == (1, 14, 66, 128)
    assert relative_error(converted.encode_audio(mel), golden["out.audio_features"]) < TOLERANCE


@torch.no_grad()
def test_offsets_are_chosen_as_by_the_original(golden, converted):
    logits = converted.compare(golden["out.video_features"], golden["out.audio_features"])
    assert relative_error(logits, golden["out.logits"]) < TOLERANCE


def test_published_size():
    with torch.device("meta"):
        model = Synchformer()
        logits = model(torch.empty(1, 14, 16, 3, 224, 224), torch.empty(1, 14, 66, 128)).logits
    assert logits.shape == (1, 21)
    assert model.comparison.position_embedding.shape == (1, 198, 768)
    assert model.offsets_in_s.tolist() == pytest.approx([-2 + 0.2 * step for step in range(21)], abs=1e-6)


@torch.no_grad()
def test_whole_is_its_parts(model, inputs):
    pixel_values, mel = inputs
    expected = model.compare(model.encode_video(pixel_values), model.encode_audio(mel))
    assert expected.shape == (2, 5)
    assert torch.equal(model(pixel_values, mel).logits, expected)
    assert torch.equal(model(pixel_values, mel, return_dict=False)[0], expected)


def test_every_weight_counts(model, inputs):
    model.zero_grad()
    model(*inputs).logits.square().sum().backward()
    idle = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().max() > 0]
    # A bias of keys moves all scores of a query alike.
    assert [name for name in idle if not name.endswith("to_k.bias")] == []


@torch.no_grad()
def test_save_and_load(model, inputs, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = Synchformer.from_pretrained(tmp_path)
    assert dict(loaded.config).items() >= TINY.items()
    assert torch.equal(loaded(*inputs).logits, model(*inputs).logits)


@torch.no_grad()
def test_another_attention_backend(model, inputs):
    expected = model(*inputs).logits
    processors = model.attn_processors
    assert len(processors) == 2 + 1 + 2 + 1 + 2
    model.fuse_qkv_projections()
    assert relative_error(model(*inputs).logits, expected) < TOLERANCE
    model.unfuse_qkv_projections()


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("pixel_values", (2, 3, 6, 3, 16, 20), r"`pixel_values` has shape .*num_segments, 6, 3, 16, 16\)"),
        ("pixel_values", (2, 2, 6, 3, 16, 16), r"`video_features` has shape .*compares 3 segments"),
        ("mel", (2, 3, 30, 40), r"`mel` has shape .*num_segments, 40, 30\)"),
        ("mel", (2, 4, 40, 30), r"`audio_features` has shape .*compares 3 segments"),
    ],
    ids=["frames", "segments of frames", "mel", "segments of mels"],
)
def test_wrong_shape(model, inputs, name, shape, message):
    arguments = dict(zip(("pixel_values", "mel"), inputs, strict=True)) | {name: torch.zeros(shape)}
    with pytest.raises(InputError, match=message):
        model(**arguments)


def test_sizes_that_do_not_divide():
    with pytest.raises(InputError, match="pass a multiple of `num_sync_heads`, which is 5"):
        Synchformer(**(TINY | {"num_sync_heads": 5}))
