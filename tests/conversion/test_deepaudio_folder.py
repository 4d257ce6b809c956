# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Both halves of DeepAudio-V1 and a gate, composed to one folder: it holds what they hold, and does every task."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from deepaudio_diffusers import DeepAudioPipeline, MoFGatingNetwork
from deepaudio_diffusers.conversion import convert_pipeline
from deepaudio_diffusers.errors import CheckpointError, InputError
from tests.conversion.folders import check_that_saving_again_changes_nothing, names_in
from tests.conversion.published import tiny_deepaudio_recipe, tiny_recipe, tiny_speech_recipe


RECIPE = tiny_deepaudio_recipe()
OURS, NONE = "deepaudio_diffusers", [None, None]
COMPONENTS = {
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "image_encoder": [OURS, "CLIPFrameEncoder"],
    "video_encoder": [OURS, "SynchformerVideoEncoder"],
    "transformer": [OURS, "MMAudioTransformer1DModel"],
    "scheduler": [OURS, "FlowMatchGridEulerScheduler"],
    "vae": [OURS, "MMAudioMelVAE"],
    "vocoder": [OURS, "BigVGANVocoder"],
    "speech_tokenizer": [OURS, "F5TTSTokenizer"],
    "speech_transformer": [OURS, "F5TTSTransformer1DModel"],
    "speech_scheduler": [OURS, "FlowMatchGridEulerScheduler"],
    "speech_vocoder": [OURS, "VocosVocoder"],
}
GATE = {"gate": [OURS, "MoFGatingNetwork"], "gate_tokenizer": ["transformers", "ByT5Tokenizer"]}

FRAMES = np.random.default_rng(0).integers(0, 256, (18, 48, 64, 3), dtype=np.uint8)
NUM_SAMPLES_AT_16K, NUM_SAMPLES_AT_24K = 18 * 16000 // 25, 18 * 24000 // 25
CLIP = {"video": FRAMES, "fps": 25}
SPEECH = {
    "transcript": "hello there",
    "reference_audio": 0.1 * np.random.default_rng(0).standard_normal(2 * 24000, dtype=np.float32),
    "reference_text": "some noise",
    "reference_sampling_rate": 24000,
}
STEPS = {"num_inference_steps": 2, "speech_num_inference_steps": 2}


@pytest.fixture(scope="module")
def source(published, speech_files, tmp_path_factory):
    """Copies of all repositories in one folder, where DeepAudio-V1 has its own copies of MMAudio's files."""
    folder = tmp_path_factory.mktemp("everything")
    shutil.copytree(speech_files, folder, dirs_exist_ok=True)
    shutil.copytree(published, folder / "MMAudio")
    copies = folder / "DeepAudio-V1" / "MMAudio"
    copies.mkdir()
    for name in ("weights/mmaudio_small_16k.pth", "ext_weights/v1-16.pth", "ext_weights/best_netG.pt"):
        shutil.copy(published / name, copies)
    return folder


@pytest.fixture(scope="module")
def converted(source, gate, tmp_path_factory):
    return convert_pipeline(RECIPE, source, tmp_path_factory.mktemp("converted") / "deepaudio-tiny", gate=gate)


@pytest.fixture(scope="module")
def without_gate(source, tmp_path_factory):
    return convert_pipeline(RECIPE, source, tmp_path_factory.mktemp("converted") / "out")


@pytest.fixture(scope="module")
def pipe(converted):
    return load(converted)


def load(folder, **options):
    pipe = DeepAudioPipeline.from_pretrained(folder, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def index_of(folder):
    index = json.loads((folder / "model_index.json").read_text())
    return {name: value for name, value in index.items() if not name.startswith("_")}


def files_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestFolder:
    def test_the_index_names_every_component_with_its_library(self, converted):
        assert json.loads((converted / "model_index.json").read_text())["_class_name"] == "DeepAudioPipeline"
        recognizer = {"speech_recognizer": NONE, "speech_recognizer_processor": NONE}
        assert index_of(converted) == COMPONENTS | GATE | recognizer
        assert names_in(converted) == sorted([*COMPONENTS, *GATE, "README.md", "model_index.json"])

    @pytest.mark.parametrize(
        ("recipe", "prefix"),
        [(tiny_recipe(), ""), (tiny_speech_recipe("v2s-s16"), "speech_")],
        ids=["sound", "speech"],
    )
    def test_each_half_is_what_its_own_variant_gives(self, converted, source, tmp_path, recipe, prefix):
        half = convert_pipeline(recipe, source, tmp_path / "half")

        components = [path.name for path in half.iterdir() if path.is_dir()]
        assert len(components) == (4 if prefix else 8)
        for name in components:
            assert files_in(converted / f"{prefix}{name}") == files_in(half / name)

    def test_the_gate_is_the_one_that_was_given(self, pipe, gate):
        expected = MoFGatingNetwork.from_pretrained(gate).state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in pipe.gate.state_dict().items())

        inputs = pipe.gate_tokenizer("Dub it", return_tensors="pt")
        assert inputs.input_ids[0].tolist() == [3 + byte for byte in b"Dub it"] + [1]
        probabilities = MoFGatingNetwork.from_pretrained(gate)(**inputs).probabilities[0]
        assert list(pipe.read_instruction("Dub it").values()) == pytest.approx(probabilities.tolist(), rel=1e-6)

    def test_no_path_of_this_machine_is_in_it(self, converted, source, gate):
        for name, content in files_in(converted).items():
            assert str(gate.parent).encode() not in content, name
            assert str(source).encode() not in content, name

    def test_the_folder_is_what_save_pretrained_writes(self, converted, tmp_path):
        check_that_saving_again_changes_nothing(DeepAudioPipeline, converted, tmp_path)

    def test_the_card_names_all_that_was_converted(self, converted, source, gate):
        card = (converted / "README.md").read_text()

        paths = [
            "MMAudio/weights/mmaudio_small_16k.pth",
            "DeepAudio-V1/v2c_s16.pt",
            "vocos-mel-24khz/pytorch_model.bin",
        ]
        for path in [*(source / path for path in paths), gate / "model.safetensors"]:
            assert hashlib.sha256(path.read_bytes()).hexdigest() in card
        assert 'DeepAudioPipeline.from_pretrained("deepaudio-tiny")' in card
        assert "from the folder `my-gate` | `apache-2.0`" in card

    def test_progress_is_one_line_a_checkpoint(self, source, gate, tmp_path, caplog):
        with caplog.at_level("INFO", logger="deepaudio_diffusers"):
            convert_pipeline(RECIPE, source, tmp_path / "out", gate=gate)

        assert [message for message in caplog.messages if " -> " in message] == [
            "Gating network: my-gate/model.safetensors -> gate, gate_tokenizer",
            "[1/7] DFN5B CLIP text and image encoders: open_clip_pytorch_model.bin -> image_encoder, text_encoder",
            "[2/7] Synchformer video encoder: synchformer_state_dict.pth -> video_encoder",
            "[3/7] MMAudio network: mmaudio_small_16k.pth -> transformer",
            "[4/7] mel VAE, 16000 Hz: v1-16.pth -> vae",
            "[5/7] BigVGAN vocoder, 16000 Hz: best_netG.pt -> vocoder",
            "[6/7] DeepAudio-V1 speech network: v2c_s16.pt -> speech_transformer",
            "[7/7] Vocos vocoder, 24000 Hz: pytorch_model.bin -> speech_vocoder",
        ]
        assert not [record for record in caplog.records if record.levelname == "WARNING"]


class TestTasks:
    @pytest.mark.parametrize(
        ("task", "inputs", "sampling_rate", "num_samples"),
        [
            ("video_to_audio", CLIP, 16000, NUM_SAMPLES_AT_16K),
            ("video_to_speech", CLIP | SPEECH, 24000, NUM_SAMPLES_AT_24K),
            ("text_to_speech", SPEECH | {"audio_length_in_s": 0.5}, 24000, 12000),
            ("soundtrack", CLIP | SPEECH, 24000, NUM_SAMPLES_AT_24K),
        ],
    )
    def test_every_task(self, pipe, task, inputs, sampling_rate, num_samples):
        result = pipe(**inputs, **STEPS, task=task)

        assert (result.task, result.sampling_rate) == (task, sampling_rate)
        assert result.audios.shape == (1, 1, num_samples)
        assert np.isfinite(result.audios).all()
        assert result.audios.any()

    @pytest.mark.parametrize("load_dtype", [None, torch.bfloat16])
    def test_half_precision_reads_instructions_and_makes_the_soundtrack(self, source, gate, tmp_path, load_dtype):
        folder = convert_pipeline(RECIPE, source, tmp_path / "out", gate=gate, dtype="bfloat16")
        saved = load_file(folder / "gate" / "model.safetensors")
        kept = {name for name, tensor in saved.items() if tensor.dtype == torch.float32}
        # What transformers keeps of T5 in float32 because float16 cannot hold what comes out of it.
        assert kept == {"text_encoder.encoder.block.0.layer.1.DenseReluDense.wo.weight"}
        assert {tensor.dtype for name, tensor in saved.items() if name not in kept} == {torch.bfloat16}
        speech = load_file(folder / "speech_transformer" / "diffusion_pytorch_model.safetensors")
        assert speech["proj_out.weight"].dtype == torch.bfloat16
        assert speech["time_embed.linear_1.weight"].dtype == torch.float32

        pipe = load(folder, **({} if load_dtype is None else {"dtype": load_dtype}))
        result = pipe(**CLIP, **SPEECH, **STEPS, instruction="Dub it, with the street.")
        assert result.task == "soundtrack"
        assert sum(result.task_probabilities[0].values()) == pytest.approx(1)
        assert result.audios.shape == (1, 1, NUM_SAMPLES_AT_24K)
        assert np.isfinite(result.audios).all()


class TestWithoutGate:
    def test_it_is_said(self, source, tmp_path, caplog):
        with caplog.at_level("WARNING", logger="deepaudio_diffusers"):
            convert_pipeline(RECIPE, source, tmp_path / "out")

        (message,) = caplog.messages
        assert message.startswith("out has no gate: `task=` works, and `instruction=` will need one.")
        assert "--gate" in message

    def test_the_rest_is_the_same(self, without_gate, converted):
        assert index_of(without_gate) == index_of(converted) | {"gate": NONE, "gate_tokenizer": NONE}
        for name in COMPONENTS:
            assert files_in(without_gate / name) == files_in(converted / name)
        card = (without_gate / "README.md").read_text()
        assert "This folder has no gate" in card
        assert 'task="soundtrack"' in card

    def test_the_task_has_to_be_given(self, without_gate):
        pipe = load(without_gate)

        assert pipe(**SPEECH, **STEPS, task="text_to_speech", audio_length_in_s=0.5).audios.shape == (1, 1, 12000)
        with pytest.raises(InputError, match="`instruction` needs the `gate`"):
            pipe(**SPEECH, **STEPS, instruction="Read it.")


class TestRefusals:
    def refused(self, source, tmp_path, error=CheckpointError, recipe=RECIPE, **options):
        before = names_in(tmp_path)
        with pytest.raises(error) as info:
            convert_pipeline(recipe, source, tmp_path / "out", **options)
        assert names_in(tmp_path) == before
        assert str(tmp_path) not in str(info.value)
        return str(info.value)

    def test_all_that_is_missing_at_once(self, tmp_path):
        (tmp_path / "source").mkdir()

        message = self.refused(tmp_path / "source", tmp_path)
        assert message.startswith("deepaudio-s16 cannot be made from the files in `source` ('source').")
        assert "or give lshzhm/DeepAudio-V1 as the source to download it all" in message
        assert message.count(": missing.") == 9
        for published_as in (
            "open_clip_pytorch_model.bin in apple/DFN5B-CLIP-ViT-H-14-384",
            "ext_weights/synchformer_state_dict.pth in hkchengrex/MMAudio",
            "weights/mmaudio_small_16k.pth in hkchengrex/MMAudio",
            "ext_weights/v1-16.pth in hkchengrex/MMAudio",
            "ext_weights/best_netG.pt in hkchengrex/MMAudio",
            "v2c_s16.pt in lshzhm/DeepAudio-V1",
            "pytorch_model.bin in charactr/vocos-mel-24khz",
            "vocab.json and merges.txt in apple/DFN5B-CLIP-ViT-H-14-384",
            "F5TTS_Base/vocab.txt in SWivid/F5-TTS",
        ):
            assert published_as in message

    def test_what_is_missing_and_what_is_there_twice_are_one_message(self, source, tmp_path):
        folder = shutil.copytree(source, tmp_path / "source")
        shutil.rmtree(folder / "vocos-mel-24khz")
        shutil.copytree(folder / "MMAudio" / "clip", folder / "other", ignore=shutil.ignore_patterns("*.bin"))
        (folder / "other" / "merges.txt").write_text("#version: 0.2\na b\n", encoding="utf-8")

        message = self.refused(folder, tmp_path)
        assert "Vocos vocoder, 24000 Hz: missing." in message
        assert "Two different CLIP tokenizers are in `source`: `MMAudio/clip/vocab.json` and `other/vocab" in message

    def test_the_speech_network_of_another_network_for_sound(self, source, tmp_path):
        folder = shutil.copytree(source, tmp_path / "source")
        for name in ("v2c_s16.pt", "v2c_s44.pt", "v2c_l44.pt"):
            (folder / "DeepAudio-V1" / name).unlink()

        message = self.refused(folder, tmp_path)
        assert "`DeepAudio-V1/v2c_m44.pt` fits but is named for v2s-m44; rename it if that is wrong" in message

    def test_a_network_of_other_sizes_is_told_by_the_variant_that_it_is_published_as(self, source, tmp_path):
        """All networks here are tiny; those of the published recipe are not."""
        message = self.refused(source, tmp_path, recipe="deepaudio-m44")

        assert "`DeepAudio-V1/v2c_m44.pt` is another one (`hidden_size` 32 instead of 1024" in message

    @pytest.mark.parametrize("spoilt", ["model.safetensors", "tokenizer_config.json"])
    def test_a_gate_that_is_not_complete(self, source, gate, tmp_path, spoilt):
        folder = shutil.copytree(gate, tmp_path / "my-gate")
        (folder / spoilt).unlink()

        message = self.refused(source, tmp_path, gate=folder)
        assert "`gate` ('my-gate') is not a folder with a gate for DeepAudioPipeline" in message
        assert f"it lacks {spoilt}." in message

    def test_a_gate_whose_weights_are_not_numbers(self, source, gate, tmp_path):
        folder = shutil.copytree(gate, tmp_path / "my-gate")
        network = MoFGatingNetwork.from_pretrained(folder)
        torch.nn.init.constant_(network.mlp.proj_in.bias, torch.nan)
        network.save_pretrained(folder)

        message = self.refused(source, tmp_path, gate=folder)
        assert "`model.safetensors` has NaN or infinite values (`mlp.proj_in.bias` of MoFGatingNetwork)" in message

    @pytest.mark.parametrize("recipe", [tiny_recipe(), tiny_speech_recipe("v2s-s16")], ids=["sound", "speech"])
    def test_a_gate_for_a_pipeline_that_reads_nothing(self, source, gate, tmp_path, recipe):
        message = self.refused(source, tmp_path, InputError, recipe, gate=gate)

        assert f"but the pipeline of {recipe.variant} reads no instructions; leave it out, or" in message

    def test_a_gate_that_would_be_replaced(self, converted, source, gate, tmp_path):
        folder = shutil.copytree(converted, tmp_path / "out")
        shutil.copytree(gate, folder / "my-gate")

        message = self.refused(source, tmp_path, InputError, gate=folder / "my-gate", overwrite=True)
        assert "`gate` lies inside `output` ('out'), which is to be replaced" in message


class TestHub:
    def test_every_part_is_downloaded_from_its_publisher(self, hub, gate, tmp_path, converted, caplog):
        with caplog.at_level("INFO", logger="deepaudio_diffusers"):
            folder = convert_pipeline(RECIPE, "lshzhm/DeepAudio-V1", tmp_path / "out", gate=gate)

        written = files_in(folder)
        assert {name: content for name, content in files_in(converted).items() if name.name != "README.md"} == {
            name: content for name, content in written.items() if name.name != "README.md"
        }
        downloads = [message.split(" (")[0] for message in caplog.messages if message.startswith("Downloading")]
        # What the source has to hold comes first.
        assert downloads[0] == "Downloading v2c_s16.pt from lshzhm/DeepAudio-V1"
        assert "Downloading weights/mmaudio_small_16k.pth from hkchengrex/MMAudio" in downloads
        assert "Downloading pytorch_model.bin from charactr/vocos-mel-24khz" in downloads
        assert "Downloading F5TTS_Base/vocab.txt from SWivid/F5-TTS" in downloads

    def test_the_repository_of_one_half_is_not_that_of_both(self, hub, tmp_path, caplog):
        with (
            caplog.at_level("INFO", logger="deepaudio_diffusers"),
            pytest.raises(CheckpointError, match=r"v2c_s16.pt cannot be had .* 'hkchengrex/MMAudio'"),
        ):
            convert_pipeline(RECIPE, "hkchengrex/MMAudio", tmp_path / "out")
        assert len(caplog.messages) == 1
        assert names_in(tmp_path) == []
