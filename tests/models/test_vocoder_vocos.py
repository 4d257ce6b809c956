# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Vocos: equal to the original in both paddings, trainable, and a full citizen of diffusers."""

import math

import pytest
import torch

from deepaudio_diffusers.conversion.vocoders import convert_vocos
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.models.vocoder_vocos import VocosVocoder
from tests.golden import load_golden, relative_error, weights_of


# Differences in float32 come from the order of sums alone (7e-7 seen).
TOLERANCE = 1e-5

# No two sizes alike, so that a mixed-up axis shows, and a hop length that does not divide the length of the transform.
TINY = {
    "num_mels": 5,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_layers": 3,
    "n_fft": 32,
    "hop_length": 9,
    "padding": "center",
    "sampling_rate": 8000,
}


def tiny_model(**config) -> VocosVocoder:
    torch.manual_seed(0)
    model = VocosVocoder(**(TINY | config)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def model():
    return tiny_model()


@pytest.fixture
def mel():
    return torch.randn(2, 5, 11, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def expected(model, mel):
    with torch.no_grad():
        return model(mel).sample


@torch.no_grad()
@pytest.mark.parametrize(
    ("fixture", "padding"), [("vocos_center", "center"), ("vocos_same", "same"), ("vocos_mel100", "center")]
)
def test_equals_the_original(fixture, padding):
    golden = load_golden(f"f5tts/{fixture}")
    waveform = convert_vocos(weights_of(golden), padding=padding)(golden["mel"]).sample
    assert relative_error(waveform, golden["wav"][:, None]) < TOLERANCE


@torch.no_grad()
def test_published_size():
    """charactr/vocos-mel-24khz."""
    with torch.device("meta"):
        model = VocosVocoder()
        waveform = model(torch.empty(1, 100, 3)).sample
    assert sum(parameter.numel() for parameter in model.parameters()) == 13_531_650
    assert waveform.shape == (1, 1, 2 * 256)


@torch.no_grad()
@pytest.mark.parametrize("num_frames", [1, 2, 11])
@pytest.mark.parametrize("hop_length", [1, 8, 9, 16])
def test_length(num_frames, hop_length):
    mel = torch.zeros(2, 5, num_frames)
    same = tiny_model(padding="same", hop_length=hop_length)(mel).sample
    assert same.shape == (2, 1, hop_length * num_frames)
    if num_frames > 1:
        center = tiny_model(padding="center", hop_length=hop_length)(mel).sample
        assert center.shape == (2, 1, hop_length * (num_frames - 1))


@torch.no_grad()
@pytest.mark.parametrize("hop_length", [4, 8, 9, 16])
@pytest.mark.parametrize("padding", ["center", "same"])
def test_inverts_the_fourier_transform(padding, hop_length):
    """A waveform comes back from its own spectrum, whatever the hop length."""
    model = tiny_model(padding=padding, hop_length=hop_length)
    waveform = torch.randn(2, 12 * hop_length, generator=torch.Generator().manual_seed(1))
    start = 16 if padding == "center" else (32 - hop_length) // 2
    padded = torch.nn.functional.pad(waveform, (start, 32))
    spectrum = torch.stft(padded, 32, hop_length, window=torch.hann_window(32), center=False, return_complex=True)
    num_frames = 13 if padding == "center" else 12
    restored = model._inverse_stft(spectrum[..., :num_frames].transpose(1, 2))
    assert relative_error(restored, waveform) < 1e-5


@torch.no_grad()
def test_magnitude_is_limited(model, mel):
    """However loud the network means a bin to be, it is taken as 100, and it can learn from that."""
    model.head.weight.zero_()
    waveforms = []
    for log_magnitude in (math.log(100), 5.0, 1000.0):
        model.head.bias.copy_(torch.tensor([log_magnitude] * 17 + [0.3] * 17))
        waveforms.append(model(mel).sample)
    assert relative_error(waveforms[1], waveforms[0]) < 1e-6
    assert torch.equal(waveforms[2], waveforms[1])
    with torch.enable_grad():
        model(mel).sample.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_all_parameters_learn(model, mel):
    model(mel).sample.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


@torch.no_grad()
def test_items_of_a_batch_do_not_know_each_other(model, mel, expected):
    for i in range(2):
        assert relative_error(model(mel[i : i + 1]).sample, expected[i : i + 1]) < 1e-6


@torch.no_grad()
def test_tuple_output(model, mel, expected):
    (waveform,) = model(mel, return_dict=False)
    assert torch.equal(waveform, expected)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_save_and_load(model, mel, expected, tmp_path, dtype):
    model.save_pretrained(tmp_path)
    loaded = VocosVocoder.from_pretrained(tmp_path, dtype=dtype)
    assert loaded.config.hop_length == 9 and loaded.config.sampling_rate == 8000
    assert loaded.dtype == dtype
    waveform = loaded(mel.to(dtype)).sample
    assert waveform.dtype == torch.float32
    # bfloat16 has 8 significant bits, float16 has 11.
    tolerance = {torch.float32: 1e-6, torch.bfloat16: 0.05, torch.float16: 0.006}[dtype]
    assert relative_error(waveform, expected) < tolerance


@torch.no_grad()
def test_autocast(model, mel, expected):
    with torch.autocast("cpu", torch.bfloat16):
        waveform = model(mel).sample
    assert waveform.dtype == torch.float32
    assert relative_error(waveform, expected) < 0.1


@torch.no_grad()
@pytest.mark.parametrize(
    "offload", [{"offload_type": "leaf_level"}, {"offload_type": "block_level", "num_blocks_per_group": 1}], ids=str
)
def test_group_offload(model, mel, expected, tmp_path, offload):
    # By way of a folder: between two places in memory, a weight that is not fetched would be there all the same.
    model.enable_group_offload(onload_device=torch.device("cpu"), offload_to_disk_path=str(tmp_path), **offload)
    assert torch.equal(model(mel).sample, expected)


@torch.no_grad()
def test_layerwise_casting(model, mel, expected):
    model.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    assert model.conv_in.weight.dtype == model.blocks[0].linear_1.weight.dtype == torch.float8_e4m3fn
    assert model.blocks[0].norm.weight.dtype == torch.float32
    # float8_e4m3fn has 4 significant bits.
    assert relative_error(model(mel).sample, expected) < 0.3


@torch.no_grad()
def test_device_map_keeps_blocks_whole(model, mel, expected, tmp_path):
    model.save_pretrained(tmp_path / "model")
    total_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
    loaded = VocosVocoder.from_pretrained(
        tmp_path / "model",
        device_map="auto",
        max_memory={"cpu": total_bytes * 2 // 3},
        offload_folder=tmp_path / "offload",
    )
    assert {"cpu", "disk"} == set(loaded.hf_device_map.values())
    assert [name for name in loaded.hf_device_map if name.startswith("blocks.") and name.count(".") > 1] == []
    assert relative_error(loaded(mel).sample, expected) < 1e-6


@torch.no_grad()
def test_compiles_as_one_graph(model, mel, expected):
    # The tracing is what can fail; the code that a compiler makes of the graph is not ours.
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert relative_error(compiled(mel).sample, expected) < 1e-6


@pytest.mark.parametrize(
    "shape", [(5, 11), (1, 6, 11), (1, 5, 0), (1, 5, 1)], ids=lambda shape: "x".join(map(str, shape))
)
def test_wrong_shape(model, shape):
    with pytest.raises(
        InputError, match=r"`mel` has shape .*; expected \(batch_size, 5, num_frames\) with at least 2 frame"
    ):
        model(torch.zeros(shape))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"padding": "valid"}, "`padding` is 'valid'; expected 'center' or 'same'"),
        ({"n_fft": 31}, "`n_fft` is 31 and `hop_length` is 9"),
        ({"hop_length": 17}, "`n_fft` is 32 and `hop_length` is 17"),
        ({"hop_length": 0}, "`n_fft` is 32 and `hop_length` is 0"),
    ],
    ids=str,
)
def test_wrong_configuration(wrong, message):
    with pytest.raises(InputError, match=message):
        VocosVocoder(**(TINY | wrong))
