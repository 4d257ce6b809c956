# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The convolutional video encoder."""

import pytest
import torch

from deepaudio_diffusers import ConvVideoEncoder, InputError


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return ConvVideoEncoder(hidden_size=24, frame_channels=(8, 16, 16), temporal_size=32).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def segments():
    return torch.rand(3, 16, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_one_vector_for_each_central_frame(encoder, segments):
    assert encoder(segments).features.shape == (3, 8, 24)
    assert torch.equal(encoder(segments, return_dict=False)[0], encoder(segments).features)


def test_segments_are_independent(encoder, segments):
    together = encoder(segments).features
    alone = torch.cat([encoder(segment[None]).features for segment in segments])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_feature_tells_of_its_own_frame_and_those_beside_it(encoder, segments):
    changed = segments[:1].clone()
    changed[:, 7, :, 10:30, 10:30] += 1.0
    difference = (encoder(changed).features - encoder(segments[:1]).features).abs().mean(dim=-1)[0]
    # Feature 3 belongs to frame 4 + 3, which its neighbours see too.
    others = torch.cat([difference[:2], difference[5:]])
    assert difference[2:5].min() > 2 * others.max()


def test_places_are_kept_apart(encoder, segments):
    """The same thing elsewhere in the picture is something else, as no average over places could tell."""
    left, right = torch.zeros(1, 16, 3, 48, 48), torch.zeros(1, 16, 3, 48, 48)
    left[..., 8:20, 4:16] = 1.0
    right[..., 8:20, 28:40] = 1.0
    assert (encoder(left).features - encoder(right).features).abs().mean() > 0.01


def test_save_and_load(encoder, segments, tmp_path):
    encoder.save_pretrained(tmp_path)
    loaded = ConvVideoEncoder.from_pretrained(tmp_path)
    assert torch.allclose(loaded(segments).features, encoder(segments).features, atol=1e-6)


def test_half_precision(encoder, segments, tmp_path):
    encoder.save_pretrained(tmp_path)
    half = ConvVideoEncoder.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    features = half(segments.bfloat16()).features
    assert features.dtype == torch.bfloat16
    assert torch.allclose(features.float(), encoder(segments).features, atol=0.1)


def test_other_shapes_are_refused(encoder, segments):
    with pytest.raises(InputError, match="one segment of frames"):
        encoder(segments[:, :8])
    with pytest.raises(InputError, match="48 pixels"):
        ConvVideoEncoder(image_size=64)
