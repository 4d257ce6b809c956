# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From the published files, in tiny, to a pipeline folder: what is written, what is refused, and what stays then."""

import gzip
import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.convert_slow_tokenizer import bytes_to_unicode

from deepaudio_diffusers import TextToSpeechPipeline, VideoToAudioPipeline
from deepaudio_diffusers.conversion import (
    RECIPES,
    convert_bigvgan,
    convert_clip,
    convert_f5tts,
    convert_mmaudio_transformer,
    convert_mmaudio_vae,
    convert_pipeline,
    convert_synchformer,
    convert_vocos,
    pipeline_folder,
)
from deepaudio_diffusers.conversion.tokenizers import TOKENIZERS
from deepaudio_diffusers.errors import CheckpointError, DeepAudioError, InputError
from tests.conversion.folders import check_that_saving_again_changes_nothing, names_in, same_weights, weights_in
from tests.conversion.published import (
    SPEECH_NETWORKS,
    TINY_VOCABULARY,
    averaged,
    f5tts_shapes,
    original_f5tts_network,
    original_state_dict,
    original_vocos,
    tiny_recipe,
    tiny_speech_recipe,
    write_vocabulary,
)
from tests.golden import FIXTURES


RECIPE = tiny_recipe()
COMPONENTS = {
    "image_encoder": ["deepaudio_diffusers", "CLIPFrameEncoder"],
    "scheduler": ["deepaudio_diffusers", "FlowMatchGridEulerScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "transformer": ["deepaudio_diffusers", "MMAudioTransformer1DModel"],
    "vae": ["deepaudio_diffusers", "MMAudioMelVAE"],
    "video_encoder": ["deepaudio_diffusers", "SynchformerVideoEncoder"],
    "vocoder": ["deepaudio_diffusers", "BigVGANVocoder"],
}


@pytest.fixture(scope="module")
def converted(published, tmp_path_factory):
    return convert_pipeline(RECIPE, published, tmp_path_factory.mktemp("converted") / "mmaudio-tiny")


@pytest.fixture
def source(published, tmp_path):
    """A copy of the published files for a test that spoils one."""
    return shutil.copytree(published, tmp_path / "source")


def test_the_index_names_every_component_with_its_library(converted):
    index = json.loads((converted / "model_index.json").read_text())

    assert index.pop("_class_name") == "VideoToAudioPipeline"
    index.pop("_diffusers_version")
    assert index == COMPONENTS
    assert names_in(converted) == sorted([*COMPONENTS, "README.md", "model_index.json"])


def test_the_folder_is_what_save_pretrained_writes(converted, tmp_path):
    check_that_saving_again_changes_nothing(VideoToAudioPipeline, converted, tmp_path)


@pytest.mark.parametrize(
    ("component", "kind", "converter", "options"),
    [
        ("transformer", "mmaudio_transformer", convert_mmaudio_transformer, {"latents_per_second": 31.25}),
        ("vae", "mmaudio_vae", convert_mmaudio_vae, {}),
        ("vocoder", "bigvgan", convert_bigvgan, {}),
        ("video_encoder", "synchformer", convert_synchformer, {"num_attention_heads": 4}),
    ],
)
def test_each_component_holds_the_weights_of_its_file(converted, component, kind, converter, options):
    expected = converter(original_state_dict(kind), **options).state_dict()
    saved = load_file(converted / component / "diffusion_pytorch_model.safetensors")

    assert saved.keys() == expected.keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in expected.items())


def test_both_clip_encoders_hold_the_weights_of_their_file(converted):
    models = convert_clip(original_state_dict("clip"), vision_head_width=20, text_head_width=12)

    for component, model in zip(("image_encoder", "text_encoder"), models, strict=True):
        saved = load_file(converted / component / "model.safetensors")
        assert saved.keys() == model.state_dict().keys()
        assert all(torch.equal(saved[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("load_dtype", [None, torch.bfloat16])
def test_the_folder_makes_sound(published, tmp_path, dtype, load_dtype):
    folder = convert_pipeline(RECIPE, published, tmp_path / "out", dtype=dtype)
    pipe = VideoToAudioPipeline.from_pretrained(folder, **({} if load_dtype is None else {"dtype": load_dtype}))
    pipe.set_progress_bar_config(disable=True)
    frames = np.random.default_rng(0).integers(0, 256, (18, 48, 64, 3), dtype=np.uint8)

    result = pipe(frames, fps=25, prompt="Rain!", num_inference_steps=2)
    assert result.sampling_rate == 16000
    assert result.audios.shape == (1, 1, 18 * 16000 // 25)
    assert np.isfinite(result.audios).all()


def test_what_has_to_stay_in_float32_does(published, tmp_path):
    folder = convert_pipeline(RECIPE, published, tmp_path / "out", dtype="bfloat16")
    saved = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")

    assert saved["latent_statistics.mean"].dtype == torch.float32
    assert saved["time_embed.linear_1.weight"].dtype == torch.float32
    assert saved["proj_out.weight"].dtype == torch.bfloat16
    assert load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")["vae.data_mean"].dtype == torch.float32


def test_files_are_recognised_whatever_their_names_and_formats(source, tmp_path, converted):
    (source / "weights" / "mmaudio_small_16k.pth").rename(source / "a.pt")
    (source / "ext_weights" / "v1-16.pth").unlink()
    save_file(original_state_dict("mmaudio_vae"), source / "b.safetensors")
    save_file({"weight": torch.ones(2)}, source / "somebody-else.safetensors")

    folder = convert_pipeline(RECIPE, source, tmp_path / "out")
    for name in ("transformer", "vae"):
        weights = f"{name}/diffusion_pytorch_model.safetensors"
        assert (folder / weights).read_bytes() == (converted / weights).read_bytes()


def test_copies_of_a_file_are_one_file(source, tmp_path, converted):
    """DeepAudio-V1 publishes files of MMAudio again, so who has both repositories has these twice."""
    shutil.copytree(source / "weights", source / "DeepAudio-V1" / "MMAudio")
    shutil.copytree(source / "ext_weights", source / "DeepAudio-V1" / "MMAudio" / "ext_weights")

    folder = convert_pipeline(RECIPE, source, tmp_path / "out")
    for name in ("transformer", "vae"):
        assert same_weights(weights_in(folder, name), weights_in(converted, name))


def test_the_tokenizer_of_open_clip_serves_as_well(source, tmp_path, converted):
    (source / "clip" / "vocab.json").unlink()
    # Its file has more pairs than the vocabulary uses; here the vocabulary uses none.
    with gzip.open(source / "bpe_simple_vocab_16e6.txt.gz", "wt", encoding="utf-8") as file:
        file.write("version\nt h\na n</w>\n")

    folder = convert_pipeline(RECIPE, source, tmp_path / "out")
    assert (folder / "tokenizer" / "tokenizer.json").read_bytes() == (
        converted / "tokenizer" / "tokenizer.json"
    ).read_bytes()


def test_the_published_vocabulary_is_made_from_the_pairs_of_open_clip(tmp_path):
    """With the sizes of the published CLIP, and its rule: bytes, bytes that end a word, merges, special tokens."""
    characters = list(bytes_to_unicode().values())
    pairs = [f"{a} {b}" for a in characters for b in characters][: 49408 - 514]
    path = tmp_path / "bpe_simple_vocab_16e6.txt.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(["version", *pairs, "x x", "y y"]))

    facts = RECIPES["mm-s16k"].part("text_encoder").facts
    vocabulary = TOKENIZERS["clip"].build((path,), facts).get_vocab()
    assert len(vocabulary) == 49408
    assert vocabulary["!"] == 0
    assert vocabulary["!</w>"] == 256
    assert vocabulary["!!"] == 512
    assert vocabulary["<|startoftext|>"] == 49406
    assert vocabulary["<|endoftext|>"] == 49407


def test_the_card_names_the_files_that_were_converted(converted, published):
    card = (converted / "README.md").read_text()

    for name in ("weights/mmaudio_small_16k.pth", "clip/open_clip_pytorch_model.bin"):
        content = (published / name).read_bytes()
        assert hashlib.md5(content).hexdigest() in card
        assert hashlib.sha256(content).hexdigest() in card
    assert 'from_pretrained("mmaudio-tiny")' in card


def test_progress_is_one_line_a_checkpoint(published, tmp_path, caplog):
    with caplog.at_level("INFO", logger="deepaudio_diffusers"):
        convert_pipeline(RECIPE, published, tmp_path / "out")

    assert [line for line in caplog.messages if line.startswith("[")] == [
        "[1/5] DFN5B CLIP text and image encoders: open_clip_pytorch_model.bin -> image_encoder, text_encoder",
        "[2/5] Synchformer video encoder: synchformer_state_dict.pth -> video_encoder",
        "[3/5] MMAudio network: mmaudio_small_16k.pth -> transformer",
        "[4/5] mel VAE, 16000 Hz: v1-16.pth -> vae",
        "[5/5] BigVGAN vocoder, 16000 Hz: best_netG.pt -> vocoder",
    ]


class TestRefusals:
    """Each is a typed error that names the file and the way out, and leaves no trace beside the source."""

    def refused(self, source, tmp_path, error=CheckpointError, recipe=RECIPE, **options):
        before = names_in(tmp_path)
        with pytest.raises(error) as info:
            convert_pipeline(recipe, source, tmp_path / "out", **options)
        assert names_in(tmp_path) == before
        assert str(tmp_path) not in str(info.value)
        return str(info.value)

    @pytest.mark.parametrize(
        ("path", "published_as"),
        [
            ("weights/mmaudio_small_16k.pth", "weights/mmaudio_small_16k.pth in hkchengrex/MMAudio (601 MB"),
            ("ext_weights/v1-16.pth", "ext_weights/v1-16.pth in hkchengrex/MMAudio (655 MB"),
            ("ext_weights/best_netG.pt", "ext_weights/best_netG.pt in hkchengrex/MMAudio"),
            ("ext_weights/synchformer_state_dict.pth", "ext_weights/synchformer_state_dict.pth in hkchengrex/MMAudio"),
            ("clip/open_clip_pytorch_model.bin", "open_clip_pytorch_model.bin in apple/DFN5B-CLIP-ViT-H-14-384"),
            ("clip/merges.txt", "vocab.json and merges.txt in apple/DFN5B-CLIP-ViT-H-14-384"),
        ],
    )
    def test_a_missing_file(self, source, tmp_path, path, published_as):
        (source / path).unlink()

        message = self.refused(source, tmp_path)
        assert message.count(": missing.") == 1
        assert published_as in message

    def test_all_missing_files_at_once(self, tmp_path):
        (tmp_path / "source").mkdir()

        assert self.refused(tmp_path / "source", tmp_path).count(": missing.") == 6

    def test_a_network_of_another_generation(self, source, tmp_path):
        part = RECIPE.part("transformer")
        facts = {**part.facts, "v2": True}
        recipe = replace(RECIPE, parts=tuple(replace(p, facts=facts) if p is part else p for p in RECIPE.parts))

        message = self.refused(source, tmp_path, recipe=recipe)
        assert "`weights/mmaudio_small_16k.pth` is another one (`v2` False instead of True)" in message

    @pytest.mark.parametrize("variant", ["mm-s44k", "mm-m44k", "mm-l44k", "mm-l44k-v2"])
    def test_a_published_network_of_another_variant(self, tmp_path, variant):
        """Only the shapes of the published network are stored: each tensor is one number, repeated."""
        source = tmp_path / "source"
        source.mkdir()
        shapes = json.loads((FIXTURES / "mmaudio" / "reference_state_dicts.json").read_text())
        shapes = shapes[RECIPES[variant].original_name]
        torch.save({name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}, source / "network.pth")

        message = self.refused(source, tmp_path, recipe="mm-s16k")
        assert f"MMAudio network: missing. `network.pth` is that of {variant} (" in message

    def test_two_files_for_one_part(self, source, tmp_path):
        state_dict = original_state_dict("mmaudio_vae")
        state_dict["data_mean"] += 1
        torch.save(state_dict, source / "mine.pth")

        message = self.refused(source, tmp_path)
        assert "mel VAE, 16000 Hz: found in `ext_weights/v1-16.pth` and `mine.pth`; keep one" in message

    def test_two_tokenizers(self, source, tmp_path):
        shutil.copytree(source / "clip", source / "other", ignore=shutil.ignore_patterns("*.bin"))
        assert convert_pipeline(RECIPE, source, tmp_path / "equal").is_dir()
        (source / "other" / "merges.txt").write_text("#version: 0.2\na b\n", encoding="utf-8")

        assert "`clip/vocab.json` and `other/vocab.json`" in self.refused(source, tmp_path)

    def test_the_tokenizer_of_another_model_is_none(self, source, tmp_path):
        (source / "clip" / "vocab.json").write_text('{"<s>": 0, "hello": 1}', encoding="utf-8")

        assert "CLIP tokenizer: missing." in self.refused(source, tmp_path)

    def test_a_damaged_file_that_is_needed(self, source, tmp_path):
        path = source / "ext_weights" / "best_netG.pt"
        path.write_bytes(path.read_bytes()[:1000])

        message = self.refused(source, tmp_path)
        assert "BigVGAN vocoder, 16000 Hz: missing." in message
        assert "`best_netG.pt` cannot be read" in message

    def test_an_unsafe_file_that_is_needed(self, source, tmp_path):
        torch.save({"generator": print}, source / "ext_weights" / "best_netG.pt")

        message = self.refused(source, tmp_path)
        assert "`best_netG.pt` is refused" in message
        assert "(`print`)" in message

    def test_a_damaged_vocabulary(self, source, tmp_path):
        (source / "clip" / "vocab.json").unlink()
        (source / "bpe_simple_vocab_16e6.txt.gz").write_bytes(b"not gzip")

        assert "`bpe_simple_vocab_16e6.txt.gz` cannot be read" in self.refused(source, tmp_path)

    @pytest.mark.parametrize(
        ("merges", "message"),
        [
            (b"#version: 0.2\n\xff \xff\n", "`vocab.json` and `merges.txt` cannot be read"),
            (b"#version: 0.2\na b\n", "1 byte pairs that give no token"),
        ],
    )
    def test_byte_pairs_that_do_not_fit_the_vocabulary(self, source, tmp_path, merges, message):
        (source / "clip" / "merges.txt").write_bytes(merges)

        assert message in self.refused(source, tmp_path)

    def test_a_checkpoint_that_lacks_a_tensor(self, source, tmp_path):
        state_dict = original_state_dict("synchformer")
        del state_dict["vfeat_extractor.norm.bias"]
        torch.save(state_dict, source / "ext_weights" / "synchformer_state_dict.pth")

        message = self.refused(source, tmp_path)
        assert "`synchformer_state_dict.pth` cannot be converted." in message
        assert "1 missing" in message

    def test_weights_that_are_not_numbers(self, source, tmp_path):
        state_dict = original_state_dict("mmaudio_transformer")
        state_dict["latent_mean"].fill_(torch.nan)
        torch.save(state_dict, source / "weights" / "mmaudio_small_16k.pth")

        message = self.refused(source, tmp_path)
        assert "`mmaudio_small_16k.pth` has NaN or infinite values (`latent_statistics.mean`" in message

    def test_weights_that_the_dtype_cannot_hold(self, source, tmp_path):
        state_dict = original_state_dict("synchformer")
        state_dict["vfeat_extractor.norm.bias"][0] = 1e5
        torch.save(state_dict, source / "ext_weights" / "synchformer_state_dict.pth")

        message = self.refused(source, tmp_path, InputError, dtype="float16")
        assert "'float16', which cannot hold the values of `norm_out.bias`" in message
        assert "'bfloat16'" in message

    @pytest.mark.parametrize(
        ("recipe", "options", "message"),
        [
            (
                "mm-xl",
                {},
                "`variant` is 'mm-xl'; accepted are mm-s16k, mm-s44k, mm-m44k, mm-l44k, mm-l44k-v2, f5-base, ",
            ),
            (RECIPE, {"dtype": "int8"}, "`dtype` is 'int8'; accepted are float32, bfloat16, float16."),
        ],
    )
    def test_an_unknown_argument(self, published, tmp_path, recipe, options, message):
        assert message in self.refused(published, tmp_path, InputError, recipe, **options)

    @pytest.mark.parametrize("source", ["no-such-folder", "a/b/c", "https://huggingface.co/hkchengrex/MMAudio"])
    def test_a_source_that_is_nothing(self, tmp_path, source):
        message = self.refused(source, tmp_path, InputError)
        assert f"`source` is {source!r}, which is neither a folder here nor the name of a Hub repository" in message

    def test_a_crash_in_the_middle(self, published, tmp_path, monkeypatch):
        written = []

        def interrupted(state_dict, **options):
            (partial,) = [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]
            written.extend(names_in(partial))
            raise KeyboardInterrupt

        monkeypatch.setitem(pipeline_folder._CONVERTERS, "mmaudio_vae", interrupted)
        with pytest.raises(KeyboardInterrupt):
            convert_pipeline(RECIPE, published, tmp_path / "out")
        assert "transformer" in written
        assert names_in(tmp_path) == []


class TestOutput:
    def test_an_empty_folder_is_filled(self, published, tmp_path):
        (tmp_path / "out").mkdir()

        assert (convert_pipeline(RECIPE, published, tmp_path / "out") / "model_index.json").is_file()
        assert names_in(tmp_path) == ["out"]

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_other_files_are_never_overwritten(self, published, tmp_path, overwrite):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("precious")

        with pytest.raises(InputError, match=r"`output` \('out'\) holds files that are not a pipeline"):
            convert_pipeline(RECIPE, published, tmp_path / "out", overwrite=overwrite)
        assert (tmp_path / "out" / "thesis.txt").read_text() == "precious"

    def test_a_file_is_not_a_folder(self, published, tmp_path):
        (tmp_path / "out").touch()

        with pytest.raises(InputError, match=r"`output` \('out'\) is a file"):
            convert_pipeline(RECIPE, published, tmp_path / "out", overwrite=True)

    def test_a_pipeline_is_replaced_when_asked(self, published, tmp_path):
        folder = convert_pipeline(RECIPE, published, tmp_path / "out")
        (folder / "old").touch()

        with pytest.raises(InputError, match=r"`output` \('out'\) holds a pipeline already.*--overwrite"):
            convert_pipeline(RECIPE, published, folder)
        assert (folder / "old").exists()
        convert_pipeline(RECIPE, published, folder, overwrite=True)
        assert not (folder / "old").exists()
        assert names_in(tmp_path) == ["out"]

    def test_a_pipeline_survives_a_failed_replacement(self, published, tmp_path, monkeypatch):
        folder = convert_pipeline(RECIPE, published, tmp_path / "out")

        def no_room(*args, **kwargs):
            raise OSError("No space left on device")

        monkeypatch.setattr(pipeline_folder, "build_model_card", no_room)
        with pytest.raises(OSError, match="No space left"):
            convert_pipeline(RECIPE, published, folder, overwrite=True)
        assert names_in(tmp_path) == ["out"]
        assert (folder / "README.md").is_file()

    def test_the_source_is_not_replaced(self, published, tmp_path):
        folder = convert_pipeline(RECIPE, published, tmp_path / "out")
        shutil.copytree(published, folder / "source")

        with pytest.raises(InputError, match="`source` lies inside `output`"):
            convert_pipeline(RECIPE, folder / "source", folder, overwrite=True)

    def test_an_output_inside_the_source_is_no_source(self, source):
        convert_pipeline(RECIPE, source, source / "out")
        convert_pipeline(RECIPE, source, source / "out", overwrite=True)


SPEECH_COMPONENTS = {
    "scheduler": ["deepaudio_diffusers", "FlowMatchGridEulerScheduler"],
    "speech_recognizer": [None, None],
    "speech_recognizer_processor": [None, None],
    "tokenizer": ["deepaudio_diffusers", "F5TTSTokenizer"],
    "transformer": ["deepaudio_diffusers", "F5TTSTransformer1DModel"],
    "vocoder": ["deepaudio_diffusers", "VocosVocoder"],
}
V0 = {"text_mask_padding": False, "num_rotary_heads": 1, "attn_mask_enabled": False, "energy_conditioning": False}
V1 = {"text_mask_padding": True, "num_rotary_heads": None, "attn_mask_enabled": False, "energy_conditioning": False}
V2S = {**V0, "attn_mask_enabled": True, "energy_conditioning": True}
# Variant -> the file it is made from, what its network is told, and the grid of its sampler.
SPEECH_VARIANTS = {
    "f5-base": ("F5-TTS/F5TTS_Base/model_1200000.safetensors", V0, "epss"),
    "f5-v1-base": ("F5-TTS/F5TTS_v1_Base/model_1250000.safetensors", V1, "epss"),
    "v2s-s16": ("DeepAudio-V1/v2c_s16.pt", V2S, "sway"),
    "v2s-s44": ("DeepAudio-V1/v2c_s44.pt", V2S, "sway"),
    "v2s-m44": ("DeepAudio-V1/v2c_m44.pt", V2S, "sway"),
    "v2s-l44": ("DeepAudio-V1/v2c_l44.pt", V2S, "sway"),
}


@pytest.fixture
def f5_source(speech_files, tmp_path):
    """A folder for a test that spoils something: F5TTS_Base in one file, its vocabulary and Vocos."""
    source = tmp_path / "source"
    (source / "F5TTS_Base").mkdir(parents=True)
    for name in ("F5-TTS/F5TTS_Base/model_1200000.safetensors", "F5-TTS/F5TTS_Base/vocab.txt"):
        shutil.copy(speech_files / name, source / "F5TTS_Base")
    shutil.copy(speech_files / "vocos-mel-24khz" / "pytorch_model.bin", source)
    return source


class TestSpeech:
    @pytest.mark.parametrize("variant", SPEECH_VARIANTS)
    def test_each_variant_is_found_among_all_published_files(self, speech_files, tmp_path, variant, caplog):
        file, config, grid = SPEECH_VARIANTS[variant]
        with caplog.at_level("WARNING", logger="deepaudio_diffusers"):
            folder = convert_pipeline(tiny_speech_recipe(variant), speech_files, tmp_path / "out")
        assert caplog.messages == []

        index = json.loads((folder / "model_index.json").read_text())
        assert index.pop("_class_name") == "TextToSpeechPipeline"
        index.pop("_diffusers_version")
        assert index == SPEECH_COMPONENTS
        made = [name for name, (library, _) in SPEECH_COMPONENTS.items() if library is not None]
        assert names_in(folder) == sorted([*made, "README.md", "model_index.json"])

        seed, energy = SPEECH_NETWORKS[file]
        network = convert_f5tts(original_f5tts_network(seed, energy=energy), **config)
        assert same_weights(weights_in(folder, "transformer"), network.state_dict())
        saved = json.loads((folder / "transformer" / "config.json").read_text())
        assert {name: saved[name] for name in config} == config
        assert all(saved[name] == value for name, value in network.config.items() if not name.startswith("_"))
        assert same_weights(weights_in(folder, "vocoder"), convert_vocos(original_vocos()).state_dict())
        scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
        assert (scheduler["grid"], scheduler["sway_coef"]) == (grid, -1.0)
        assert TextToSpeechPipeline.from_pretrained(folder).tokenizer.get_vocab() == {
            token: index for index, token in enumerate(TINY_VOCABULARY)
        }

    def test_a_small_network_of_ones_own(self, tmp_path, speech_files, caplog):
        source = tmp_path / "F5TTS_Small_vocos_char_mine"
        source.mkdir()
        network = original_f5tts_network(9, hidden_size=16, num_layers=1, vocab_size=30)
        torch.save({"ema_model_state_dict": averaged(network)}, source / "model_last.pt")
        write_vocabulary(source / "vocab.txt", TINY_VOCABULARY[:30])
        shutil.copytree(speech_files / "vocos-mel-24khz", source / "vocos")

        with caplog.at_level("WARNING", logger="deepaudio_diffusers"):
            folder = convert_pipeline(tiny_speech_recipe("f5-small"), source, tmp_path / "out")
        assert caplog.messages == []
        assert same_weights(weights_in(folder, "transformer"), convert_f5tts(network, **V0).state_dict())
        assert "license: other" in (folder / "README.md").read_text()

    def test_the_folder_is_what_save_pretrained_writes(self, f5_source, tmp_path):
        folder = convert_pipeline(tiny_speech_recipe("f5-base"), f5_source, tmp_path / "out")

        check_that_saving_again_changes_nothing(TextToSpeechPipeline, folder, tmp_path / "again")

    @pytest.mark.parametrize("variant", ["f5-v1-base", "v2s-m44"])
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_the_folder_speaks(self, speech_files, tmp_path, variant, dtype):
        folder = convert_pipeline(tiny_speech_recipe(variant), speech_files, tmp_path / "out", dtype=dtype)
        pipe = TextToSpeechPipeline.from_pretrained(folder, dtype=getattr(torch, dtype))
        pipe.set_progress_bar_config(disable=True)
        voice = 0.1 * np.random.default_rng(0).standard_normal(2 * 24000, dtype=np.float32)

        result = pipe(
            "hello there",
            reference_audio=voice,
            reference_text="some noise",
            reference_sampling_rate=24000,
            audio_length_in_s=0.5,
            num_inference_steps=2,
        )
        assert result.sampling_rate == 24000
        assert result.audios.shape == (1, 1, 12000)
        assert np.isfinite(result.audios).all()

    def test_the_average_of_a_training_checkpoint_is_taken(self, f5_source, tmp_path):
        (f5_source / "F5TTS_Base" / "model_1200000.safetensors").unlink()
        checkpoint = {
            "model_state_dict": {f"transformer.{k}": v for k, v in original_f5tts_network(10).items()},
            "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 7.5e-5}]},
            "ema_model_state_dict": averaged(original_f5tts_network(11)),
            "scheduler_state_dict": {"last_epoch": 3},
            "update": 3,
        }
        torch.save(checkpoint, f5_source / "F5TTS_Base" / "model_3.pt")

        folder = convert_pipeline(tiny_speech_recipe("f5-base"), f5_source, tmp_path / "out")
        expected = convert_f5tts(original_f5tts_network(11), **V0).state_dict()
        assert same_weights(weights_in(folder, "transformer"), expected)

    def test_a_name_that_tells_nothing_is_a_warning(self, f5_source, tmp_path, caplog):
        path = f5_source / "F5TTS_Base" / "model_1200000.safetensors"
        path.rename(f5_source / "network.safetensors")

        with caplog.at_level("WARNING", logger="deepaudio_diffusers"):
            convert_pipeline(tiny_speech_recipe("f5-base"), f5_source, tmp_path / "out")
        (message,) = caplog.messages
        assert message.startswith("`network.safetensors` is taken for f5-base as asked: its name does not say")
        assert "networks for BigVGAN, f5-v1-base have the same sizes" in message

    def test_what_was_left_out_is_reported(self, speech_files, tmp_path, caplog):
        with caplog.at_level("INFO", logger="deepaudio_diffusers"):
            convert_pipeline(tiny_speech_recipe("v2s-s44"), speech_files, tmp_path / "out")

        assert caplog.messages[0] == (
            "DeepAudio-V1 speech network: DeepAudio-V1/v2c_s44.pt by its name, not DeepAudio-V1/v2c_l44.pt, "
            "DeepAudio-V1/v2c_m44.pt, DeepAudio-V1/v2c_s16.pt"
        )
        assert "[1/2] DeepAudio-V1 speech network: v2c_s44.pt -> transformer" in caplog.messages

    def test_windows_line_ends_are_the_same_vocabulary(self, f5_source, tmp_path):
        (f5_source / "F5TTS_Base" / "vocab.txt").rename(f5_source / "vocab.txt")
        (f5_source / "windows").mkdir()
        write_vocabulary(f5_source / "windows" / "vocab.txt", newline="\r\n")

        folder = convert_pipeline(tiny_speech_recipe("f5-base"), f5_source, tmp_path / "out")
        assert (folder / "tokenizer" / "vocab.txt").read_bytes() == (f5_source / "vocab.txt").read_bytes()

    def test_the_vocabulary_beside_the_network_is_taken(self, f5_source, tmp_path):
        tokens = (*TINY_VOCABULARY[:-1], "ma1")
        write_vocabulary(f5_source / "F5TTS_Base" / "vocab.txt", tokens)
        write_vocabulary(f5_source / "vocab.txt")

        folder = convert_pipeline(tiny_speech_recipe("f5-base"), f5_source, tmp_path / "out")
        assert (folder / "tokenizer" / "vocab.txt").read_text() == "".join(token + "\n" for token in tokens)

    def test_a_vocabulary_elsewhere_is_found_by_its_size(self, f5_source, tmp_path):
        (f5_source / "F5TTS_Base" / "vocab.txt").rename(f5_source / "vocab.txt")
        for name, tokens in {"fine-tuned": (*TINY_VOCABULARY, "ma1"), "bert": ("[PAD]", "[CLS]")}.items():
            (f5_source / name).mkdir()
            write_vocabulary(f5_source / name / "vocab.txt", tokens)

        folder = convert_pipeline(tiny_speech_recipe("f5-base"), f5_source, tmp_path / "out")
        assert (folder / "tokenizer" / "vocab.txt").read_bytes() == (f5_source / "vocab.txt").read_bytes()

    def test_the_card_names_the_vocabulary_and_the_files(self, f5_source, tmp_path):
        card = (convert_pipeline(tiny_speech_recipe("f5-base"), f5_source, tmp_path / "out") / "README.md").read_text()

        content = (f5_source / "F5TTS_Base" / "model_1200000.safetensors").read_bytes()
        assert hashlib.sha256(content).hexdigest() in card
        assert 'TextToSpeechPipeline.from_pretrained("out")' in card
        assert "| `tokenizer` | F5-TTS vocabulary | [SWivid/F5-TTS]" in card


class TestSpeechRefusals:
    def refused(self, source, tmp_path, variant="f5-base", error=CheckpointError, **options):
        before = names_in(tmp_path)
        with pytest.raises(error) as info:
            convert_pipeline(tiny_speech_recipe(variant), source, tmp_path / "out", **options)
        assert names_in(tmp_path) == before
        assert str(tmp_path) not in str(info.value)
        return str(info.value)

    @pytest.mark.parametrize(
        ("path", "published_as"),
        [
            (
                "F5TTS_Base/model_1200000.safetensors",
                "F5-TTS network: missing. It is published as F5TTS_Base/model_1200000.safetensors in SWivid/F5-TTS "
                "(1.35 GB, https://",
            ),
            (
                "F5TTS_Base/vocab.txt",
                "F5-TTS vocabulary: missing. It is published as F5TTS_Base/vocab.txt in SWivid/F5-TTS; it has one "
                "token a line, and the first line is a single space.",
            ),
            (
                "pytorch_model.bin",
                "Vocos vocoder, 24000 Hz: missing. It is published as pytorch_model.bin in charactr/",
            ),
        ],
    )
    def test_a_missing_file(self, f5_source, tmp_path, path, published_as):
        (f5_source / path).unlink()

        message = self.refused(f5_source, tmp_path)
        assert message.startswith("f5-base cannot be made from the files in `source` ('source').")
        assert "or give SWivid/F5-TTS as the source" in message
        assert message.count(": missing.") == 1
        assert published_as in message

    def test_files_that_nobody_publishes(self, tmp_path):
        (tmp_path / "source").mkdir()

        message = self.refused(tmp_path / "source", tmp_path, "f5-small")
        assert "Add what is missing.\n" in message
        assert "F5-TTS network: missing. Its authors do not publish it; add the file that you have." in message
        assert "F5-TTS vocabulary: missing. Add the one that the network was trained with; it has one" in message

    @pytest.mark.parametrize("source", ["SWivid/F5-TTS", "no-such-folder"])
    def test_a_download_that_nobody_publishes(self, tmp_path, source):
        message = self.refused(source, tmp_path, "f5-small", InputError)
        assert (
            f"`source` is {source!r}, which is not a folder here; the authors of F5-TTS publish no f5-small" in message
        )

    @pytest.mark.parametrize(
        ("name", "named_for"),
        [
            ("F5TTS_v1_Base/model_1250000.safetensors", "f5-v1-base"),
            ("downloads/model_1250000.safetensors", "f5-v1-base"),
            ("F5TTS_Base_bigvgan/model_1250000.safetensors", "BigVGAN"),
        ],
    )
    def test_a_network_of_equal_sizes_that_is_named_for_another(self, f5_source, tmp_path, name, named_for):
        (f5_source / name).parent.mkdir()
        (f5_source / "F5TTS_Base" / "model_1200000.safetensors").rename(f5_source / name)

        message = self.refused(f5_source, tmp_path)
        assert f"missing. `{name}` fits but is named for {named_for}; rename it if that is wrong." in message

    def test_a_folder_given_directly_is_asked_for_its_name_too(self, f5_source, tmp_path):
        (f5_source / "F5TTS_Base").rename(tmp_path / "F5TTS_v1_Base")
        shutil.move(f5_source / "pytorch_model.bin", tmp_path / "F5TTS_v1_Base")
        (tmp_path / "F5TTS_v1_Base" / "model_1200000.safetensors").rename(
            tmp_path / "F5TTS_v1_Base" / "model.safetensors"
        )

        assert "named for f5-v1-base" in self.refused(tmp_path / "F5TTS_v1_Base", tmp_path)

    def test_a_network_with_energy(self, f5_source, tmp_path):
        torch.save(
            {"ema_model_state_dict": averaged(original_f5tts_network(1, energy=True))}, f5_source / "v2c_s16.pt"
        )
        (f5_source / "F5TTS_Base" / "model_1200000.safetensors").unlink()

        assert "`v2c_s16.pt` is another one (`energy_conditioning` True instead of False)" in self.refused(
            f5_source, tmp_path
        )

    def test_the_network_of_another_video_model(self, f5_source, tmp_path):
        torch.save(
            {"ema_model_state_dict": averaged(original_f5tts_network(1, energy=True))}, f5_source / "v2c_s16.pt"
        )

        message = self.refused(f5_source, tmp_path, "v2s-l44")
        assert "`v2c_s16.pt` fits but is named for v2s-s16" in message
        assert "`F5TTS_Base/model_1200000.safetensors` is another one (`energy_conditioning` False" in message

    def test_a_published_network_of_the_other_kind_is_told_by_its_variants(self, f5_source, tmp_path):
        """Only the sizes of the published network are made: each tensor is one number, repeated."""
        shapes = f5tts_shapes(hidden_size=1024, num_layers=22, num_text_layers=4, energy=True)
        torch.save({name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}, f5_source / "mine.pt")
        (f5_source / "F5TTS_Base" / "model_1200000.safetensors").unlink()

        with pytest.raises(CheckpointError, match=r"`mine.pt` is that of v2s-s16, v2s-s44, v2s-m44, v2s-l44 \(`en"):
            convert_pipeline("f5-base", f5_source, tmp_path / "out")

    def test_two_networks_that_no_name_tells_apart(self, f5_source, tmp_path):
        (f5_source / "F5TTS_Base" / "model_1200000.safetensors").rename(f5_source / "a.safetensors")
        save_file(averaged(original_f5tts_network(12)), f5_source / "b.safetensors")

        message = self.refused(f5_source, tmp_path)
        assert (
            "F5-TTS network: found in `a.safetensors` and `b.safetensors`; keep one of them in the folder" in message
        )

    @pytest.mark.parametrize(
        ("tokens", "message"),
        [
            (TINY_VOCABULARY[:-1], "`vocab.txt` has 34 tokens, where the network knows 35. Give the vocabulary that"),
            (("", *TINY_VOCABULARY[1:]), "The first line of vocab.txt is '' and not a single space"),
        ],
    )
    def test_a_vocabulary_that_does_not_fit(self, f5_source, tmp_path, tokens, message):
        write_vocabulary(f5_source / "F5TTS_Base" / "vocab.txt", tokens)

        assert message in self.refused(f5_source, tmp_path)

    def test_a_vocabulary_elsewhere_that_does_not_fit(self, f5_source, tmp_path):
        (f5_source / "F5TTS_Base" / "vocab.txt").unlink()
        write_vocabulary(f5_source / "vocab.txt", TINY_VOCABULARY[:10])

        assert "`vocab.txt` has 10 tokens, where the network knows 35" in self.refused(f5_source, tmp_path)

    def test_the_vocabulary_of_another_model_is_none(self, f5_source, tmp_path):
        (f5_source / "F5TTS_Base" / "vocab.txt").rename(f5_source / "vocab.txt")
        write_vocabulary(f5_source / "vocab.txt", ("[PAD]", "[CLS]"))

        assert "F5-TTS vocabulary: missing." in self.refused(f5_source, tmp_path)

    def test_two_vocabularies_of_fitting_size(self, f5_source, tmp_path):
        (f5_source / "F5TTS_Base" / "vocab.txt").rename(f5_source / "vocab.txt")
        (f5_source / "other").mkdir()
        write_vocabulary(f5_source / "other" / "vocab.txt", (*TINY_VOCABULARY[:-1], "ma1"))

        message = self.refused(f5_source, tmp_path)
        assert "`other/vocab.txt` and `vocab.txt`" in message
        assert "beside it (`F5TTS_Base/model_1200000.safetensors`)" in message

    def test_a_damaged_network(self, f5_source, tmp_path):
        path = f5_source / "F5TTS_Base" / "model_1200000.safetensors"
        path.write_bytes(path.read_bytes()[:5000])

        message = self.refused(f5_source, tmp_path)
        assert "F5-TTS network: missing." in message
        assert "`model_1200000.safetensors` cannot be read" in message

    def test_an_unsafe_vocoder(self, f5_source, tmp_path):
        torch.save({**original_vocos(), "backbone.norm.bias": print}, f5_source / "pytorch_model.bin")

        message = self.refused(f5_source, tmp_path)
        assert "`pytorch_model.bin` is refused" in message
        assert "(`print`)" in message

    def test_a_network_that_lacks_a_tensor(self, f5_source, tmp_path):
        state_dict = averaged(original_f5tts_network(1))
        del state_dict["ema_model.transformer.proj_out.bias"]
        save_file(state_dict, f5_source / "F5TTS_Base" / "model_1200000.safetensors")

        message = self.refused(f5_source, tmp_path)
        assert "`model_1200000.safetensors` cannot be converted." in message
        assert "1 missing (proj_out.bias)" in message


class TestHub:
    def test_the_published_files_are_downloaded(self, hub, tmp_path, converted):
        folder = convert_pipeline(RECIPE, "hkchengrex/MMAudio", tmp_path / "out")

        for weights in converted.rglob("*.safetensors"):
            assert (folder / weights.relative_to(converted)).read_bytes() == weights.read_bytes()

    @pytest.mark.parametrize(
        ("variant", "repo_id"),
        [("f5-base", "SWivid/F5-TTS"), ("f5-v1-base", "SWivid/F5-TTS"), ("v2s-m44", "lshzhm/DeepAudio-V1")],
    )
    def test_published_speech_files_are_downloaded(self, hub, speech_files, tmp_path, variant, repo_id):
        folder = convert_pipeline(tiny_speech_recipe(variant), repo_id, tmp_path / "hub")

        expected = convert_pipeline(tiny_speech_recipe(variant), speech_files, tmp_path / "folder")
        for path in expected.rglob("*"):
            if path.is_file() and path.name != "README.md":
                assert (folder / path.relative_to(expected)).read_bytes() == path.read_bytes()

    def test_somebodys_copy_is_downloaded_and_the_rest_from_its_publishers(self, hub, tmp_path):
        for name in [name for name in hub.files if name.startswith("/SWivid/F5-TTS/")]:
            hub.files[name.replace("/SWivid/F5-TTS/", "/me/copy/")] = hub.files.pop(name)

        assert convert_pipeline(tiny_speech_recipe("f5-base"), "me/copy", tmp_path / "out").is_dir()

    @pytest.mark.parametrize("repo_id", ["hkchengrex/MMAudio", "no/such-repository"])
    def test_a_file_that_is_not_there_is_named(self, hub, tmp_path, repo_id):
        del hub.files["/hkchengrex/MMAudio/resolve/main/ext_weights/synchformer_state_dict.pth"]

        with pytest.raises(CheckpointError, match=f"ext_weights/synchformer_state_dict.pth cannot be had .*{repo_id}"):
            convert_pipeline(RECIPE, repo_id, tmp_path / "out")
        assert names_in(tmp_path) == []

    def test_a_file_of_another_variant_is_named(self, hub, tmp_path):
        with pytest.raises(CheckpointError, match=r"`synchformer_state_dict.pth` from .* of mm-s16k but another"):
            convert_pipeline("mm-s16k", "hkchengrex/MMAudio", tmp_path / "out")

    def test_the_finished_folder_is_uploaded_to_a_private_repository(self, hub, published, tmp_path):
        folder = convert_pipeline(RECIPE, published, tmp_path / "out", push_to_hub="me/tiny", token="hf_known")

        (repo,) = hub.created
        assert repo["name"] == "tiny"
        # Clients of different versions say it differently.
        assert repo.get("private") or repo.get("visibility") == "private"
        expected = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        assert hub.uploaded == {name: path.read_bytes() for name, path in expected.items()}
        assert b'from_pretrained("me/tiny")' in hub.uploaded["README.md"]

    @pytest.mark.parametrize("token", ["hf_unknown", None])
    def test_nothing_is_converted_for_somebody_who_cannot_upload(self, hub, published, tmp_path, token):
        with pytest.raises(DeepAudioError, match="`hf auth login`"):
            convert_pipeline(RECIPE, published, tmp_path / "out", push_to_hub="me/tiny", token=token)
        assert names_in(tmp_path) == []

    def test_a_failed_upload_leaves_the_folder(self, hub, published, tmp_path):
        with pytest.raises(DeepAudioError, match="'out' is complete, but uploading it to 'they/tiny' failed"):
            convert_pipeline(RECIPE, published, tmp_path / "out", push_to_hub="they/tiny", token="hf_known")
        assert names_in(tmp_path) == ["out"]
