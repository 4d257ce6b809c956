# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Cnn14, VGGish and PaSST against the original code, whose outputs are in `tests/fixtures/audioset/`: of smaller
networks with seeded random weights; their metadata says of which revision."""

import hashlib
import json
import math

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import CheckpointError, InputError
from deepaudio_diffusers.evaluation.audioset import conversion
from deepaudio_diffusers.evaluation.audioset import passt as passt_module
from deepaudio_diffusers.evaluation.audioset.cnn14 import Cnn14
from deepaudio_diffusers.evaluation.audioset.conversion import convert_weights
from deepaudio_diffusers.evaluation.audioset.networks import PannsTagger, PasstTagger, VggishListener
from deepaudio_diffusers.evaluation.audioset.published_weights import PUBLISHED_WEIGHTS
from deepaudio_diffusers.evaluation.audioset.state_dicts import convert_cnn14, convert_passt, convert_vggish
from deepaudio_diffusers.evaluation.audioset.vggish import log_mel_pieces
from tests.golden import FIXTURES, load_golden, relative_error, weights_of


TOLERANCE = 1e-5
CNN14 = {
    "16k": {"sampling_rate": 16_000, "n_fft": 512, "hop_length": 160, "max_frequency": 8_000.0},
    "32k": {"sampling_rate": 32_000, "n_fft": 1024, "hop_length": 320, "max_frequency": 14_000.0},
}
PASST_SIZES = {"num_attention_heads": 2, "max_length": 150}


def noise(num_samples: int) -> torch.Tensor:
    """What the fixtures were recorded with: noise that becomes louder, `(1, num_samples)`."""
    samples = np.random.RandomState(0).uniform(-1, 1, num_samples) * np.linspace(0.02, 0.5, num_samples)
    return torch.from_numpy(samples.astype(np.float32))[None]


def cnn14_state_dict(variant: str) -> dict[str, torch.Tensor]:
    """The original state dict of the fixture, with what it computes itself."""
    bands = Cnn14(channels=(1,) * 6, **CNN14[variant]).mel_bands().float()
    n_fft = CNN14[variant]["n_fft"]
    computed = {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(n_fft // 2 + 1, 1, n_fft),
        "logmel_extractor.melW": bands,
    }
    return weights_of(load_golden(f"audioset/cnn14_{variant}")) | computed


@torch.no_grad()
@pytest.mark.parametrize("variant", CNN14)
def test_cnn14_is_the_original(variant):
    golden = load_golden(f"audioset/cnn14_{variant}")
    model = convert_cnn14(cnn14_state_dict(variant))
    assert not model.training and CNN14[variant].items() <= dict(model.config).items()
    sound = noise(3 * CNN14[variant]["sampling_rate"] // 2)
    output = model(sound)
    assert relative_error(model.mel_bands()[:, [0, 20, 63]], golden["mel_bands"]) < TOLERANCE
    assert relative_error(model.log_mel(sound)[0, ::10], golden["log_mel"]) < TOLERANCE
    assert relative_error(output.embeddings[0], golden["embedding"]) < TOLERANCE
    assert relative_error(output.logits[0], golden["logits"]) < TOLERANCE


@torch.no_grad()
def test_vggish_is_the_original():
    golden = load_golden("audioset/vggish")
    model = convert_vggish(weights_of(golden))
    sound = noise(40_000)
    assert relative_error(log_mel_pieces(sound)[0, :, ::12], golden["log_mel"]) < TOLERANCE
    assert golden["embeddings"].shape == (2, 6)
    assert relative_error(model(sound)[0], golden["embeddings"]) < TOLERANCE


@torch.no_grad()
def test_passt_is_the_original():
    golden = load_golden("audioset/passt")
    model = convert_passt(weights_of(golden), **PASST_SIZES)
    sound = noise(48_000)
    embeddings, logits = model.listen(sound)
    assert relative_error(passt_module.log_mel(sound)[0, ::20], golden["log_mel"]) < TOLERANCE
    assert relative_error(embeddings[0], golden["embedding"]) < TOLERANCE
    assert relative_error(logits[0], golden["logits"]) < TOLERANCE


@torch.no_grad()
def test_passt_hears_equally_long_sounds():
    model = convert_passt(weights_of(load_golden("audioset/passt")), **PASST_SIZES)
    sound = noise(48_000)
    longer = torch.cat([sound, noise(1_000)], dim=1)
    shorter = sound[:, :40_000]
    continued = torch.cat([shorter, torch.zeros(1, 8_000)], dim=1)
    assert torch.equal(model.listen(longer)[0], model.listen(sound)[0])
    assert torch.equal(model.listen(shorter)[0], model.listen(continued)[0])
    assert not torch.equal(model.listen(shorter)[0], model.listen(sound)[0])


@torch.no_grad()
def test_items_of_a_batch_do_not_mix():
    sounds = torch.cat([noise(48_000), torch.zeros(1, 48_000), noise(48_000).flip(1)])
    networks = (
        lambda sound: convert_cnn14(cnn14_state_dict("16k"))(sound).logits,
        convert_vggish(weights_of(load_golden("audioset/vggish"))),
        lambda sound: convert_passt(weights_of(load_golden("audioset/passt")), **PASST_SIZES).listen(sound)[1],
    )
    for network in networks:
        together = network(sounds)
        for sound, expected in zip(sounds, together, strict=True):
            assert torch.allclose(network(sound[None])[0], expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def published():
    """Published state dicts on the meta device; names and shapes are those of the original code."""
    shapes = json.loads((FIXTURES / "audioset" / "published_shapes.json").read_text())
    return {
        name: {key: torch.empty(shape, device="meta") for key, shape in state_dict.items()}
        for name, state_dict in shapes.items()
    }


@pytest.mark.parametrize("variant", CNN14)
def test_published_cnn14_fits(published, variant):
    original = published[f"cnn14_{variant}"]
    bands = Cnn14(channels=(1,) * 6, **CNN14[variant]).mel_bands()
    model = convert_cnn14(original | {"logmel_extractor.melW": bands})
    expected = CNN14[variant] | {"channels": (64, 128, 256, 512, 1024, 2048), "embedding_size": 2048}
    assert (expected | {"num_mels": 64, "num_labels": 527}).items() <= dict(model.config).items()
    assert num_parameters(model) == num_learned(original, "extractor", "running", "num_batches")


def test_published_vggish_fits(published):
    model = convert_vggish(published["vggish"])
    assert model.config.channels == ((64,), (128,), (256, 256), (512, 512))
    assert num_parameters(model) == num_learned(published["vggish"])


def test_published_passt_fits(published):
    model = convert_passt(published["passt"])
    assert model.num_samples == 320_000
    assert (model.config.num_hidden_layers, model.config.num_attention_heads) == (12, 12)
    # Each patch has a position of its own here.
    num_positions = (12 * 99 + 2) * 768
    assert num_parameters(model) - num_positions == num_learned(published["passt"], "pos_embed", "head_dist")


def num_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def num_learned(state_dict: dict[str, torch.Tensor], *left_out: str) -> int:
    return sum(tensor.numel() for key, tensor in state_dict.items() if not any(part in key for part in left_out))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc1.bias": None}, r"1 missing \(embed\.bias\)"),
        ({"surprise": torch.zeros(1)}, r"1 unknown \(surprise\)"),
        ({"conv_block2.bn1.bias": torch.zeros(3)}, r"blocks\.1\.norm1\.bias \(3,\) instead of \(4,\)"),
        ({"spectrogram_extractor.stft.conv_real.weight": None}, "it has no 'spectrogram_extractor"),
        ({"spectrogram_extractor.stft.conv_real.weight": torch.zeros(129, 1, 256)}, "16 or 32 kHz.*256 samples"),
        ({"logmel_extractor.melW": torch.ones(257, 64)}, "mel bands are not 64 from 50 to 8000 Hz at 16000 Hz"),
        ({"logmel_extractor.melW": None}, "mel bands"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, message):
    changed = cnn14_state_dict("16k") | change
    with pytest.raises(CheckpointError, match=message):
        convert_cnn14({key: tensor for key, tensor in changed.items() if tensor is not None})


@pytest.mark.parametrize("convert", [convert_vggish, convert_passt])
def test_weights_of_another_network_are_refused(convert):
    with pytest.raises(CheckpointError, match="Not a checkpoint of"):
        convert(cnn14_state_dict("16k"))


@pytest.mark.parametrize(
    ("network", "least"),
    [(lambda sound: convert_cnn14(cnn14_state_dict("16k"))(sound), 4960), (log_mel_pieces, 15_600)],
)
def test_sounds_that_are_too_short_are_refused(network, least):
    network(torch.zeros(1, least))
    with pytest.raises(InputError, match=f"needs {least} or more"):
        network(torch.zeros(1, least - 1))
    with pytest.raises(InputError, match="NaN"):
        network(torch.full((1, least), math.nan))


class TestFolders:
    """Files as their publishers save them, converted to folders."""

    def files(self, folder):
        """One for each variant, of smaller networks."""
        sampler = {"indexes_per_class": [np.arange(3), np.arange(2)], "queue": [1, 2], "pointers_of_classes": [0, 1]}
        contents = {
            f"panns-{variant}": {"iteration": 7, "model": cnn14_state_dict(variant), "sampler": {"sampler1": sampler}}
            for variant in CNN14
        }
        contents["vggish"] = weights_of(load_golden("audioset/vggish"))
        contents["passt"] = weights_of(load_golden("audioset/passt"))
        paths = {}
        for variant, content in contents.items():
            paths[variant] = folder / PUBLISHED_WEIGHTS[variant].file_name
            # As PyTorch did in 2020, when PANNs were published.
            torch.save(content, paths[variant], _use_new_zipfile_serialization=False)
        return paths

    def test_a_folder_gives_what_its_file_gave(self, tmp_path):
        for variant in ("panns-16k", "panns-32k"):
            folder = convert_weights(variant, self.files(tmp_path)[variant], tmp_path / variant)
            network, sound = PannsTagger.from_pretrained(folder), noise(48_000)
            assert network.sampling_rate == CNN14[variant[-3:]]["sampling_rate"]
            expected = convert_cnn14(cnn14_state_dict(variant[-3:]))(sound).logits[0]
            heard = network.hear(sound[0], network.sampling_rate)
            assert np.array_equal(heard["logits"], expected.detach().numpy())
            # Other weights than the published ones are not called so.
            assert network.name == variant and len(network.revision) == 12
        folder = convert_weights("vggish", tmp_path, tmp_path / "vggish")
        listener = VggishListener.from_pretrained(folder)
        expected = convert_vggish(weights_of(load_golden("audioset/vggish")))(sound)[0]
        assert np.array_equal(listener.hear(sound[0], 16_000)["embeddings"], expected.detach().numpy())
        assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob(".*.partial"))

    def test_published_weights_are_called_by_their_name(self, tmp_path, monkeypatch, caplog):
        file = self.files(tmp_path)["vggish"]
        published = PUBLISHED_WEIGHTS["vggish"].__dict__ | {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        monkeypatch.setitem(conversion.PUBLISHED_WEIGHTS, "vggish", type(PUBLISHED_WEIGHTS["vggish"])(**published))
        folder = convert_weights("vggish", file, tmp_path / "mine")
        assert VggishListener.from_pretrained(folder).name == "vggish-10086976"

    def test_passt_is_saved_with_its_class(self, tmp_path):
        model = convert_passt(weights_of(load_golden("audioset/passt")), **PASST_SIZES, weights_name="a name")
        model.save_pretrained(tmp_path / "passt")
        network = PasstTagger.from_pretrained(tmp_path / "passt")
        assert network.name == "a name"
        expected = model.listen(noise(48_000))[1][0].detach().numpy()
        assert np.array_equal(network.hear(noise(48_000)[0], 32_000)["logits"], expected)

    def test_what_cannot_be_is_said(self, tmp_path):
        files = self.files(tmp_path)
        with pytest.raises(CheckpointError, match=r"no passt-s-f128.*345 MB.*download them from https://github"):
            convert_weights("passt", tmp_path / "nowhere", tmp_path / "out")
        with pytest.raises(CheckpointError, match="Cnn14 for 32000 Hz, and not panns-16k"):
            convert_weights("panns-16k", files["panns-32k"], tmp_path / "out")
        with pytest.raises(InputError, match="there are panns-16k, panns-32k, vggish, passt"):
            convert_weights("panns-8k", files["panns-16k"], tmp_path / "out")
        assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))
        (tmp_path / "out").mkdir()
        with pytest.raises(InputError, match="is there already"):
            convert_weights("vggish", files["vggish"], tmp_path / "out")

    def test_code_in_a_file_is_not_run(self, tmp_path):
        file = tmp_path / "Cnn14_16k_mAP=0.438.pth"
        torch.save({"model": cnn14_state_dict("16k"), "sampler": Runner(tmp_path / "ran")}, file)
        with pytest.raises(CheckpointError, match="would run Python code"):
            convert_weights("panns-16k", file, tmp_path / "out")
        assert not (tmp_path / "ran").exists()

    def test_folders_without_weights_say_how_to_get_them(self, tmp_path):
        with pytest.raises(CheckpointError, match=r"Cnn14 cannot be loaded.*deepaudio evaluate convert panns-16k"):
            PannsTagger.from_pretrained(tmp_path)


class Runner:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")
