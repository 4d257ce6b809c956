# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From the published files, in tiny, to a pipeline folder: what is written, what is refused, and what stays then."""

import base64
import gzip
import hashlib
import json
import shutil
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers.convert_slow_tokenizer import bytes_to_unicode

from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.conversion import (
    MMAUDIO_RECIPES,
    convert_bigvgan,
    convert_clip,
    convert_mmaudio_transformer,
    convert_mmaudio_vae,
    convert_pipeline,
    convert_synchformer,
    pipeline_folder,
)
from deepaudio_diffusers.errors import CheckpointError, DeepAudioError, InputError
from tests.conversion.published import original_state_dict, tiny_recipe, write_published_files
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
def published(tmp_path_factory):
    """The published files; not to be changed."""
    return write_published_files(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def converted(published, tmp_path_factory):
    return convert_pipeline(RECIPE, published, tmp_path_factory.mktemp("converted") / "mmaudio-tiny")


@pytest.fixture
def source(published, tmp_path):
    """A copy of the published files for a test that spoils one."""
    return shutil.copytree(published, tmp_path / "source")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_index_names_every_component_with_its_library(converted):
    index = json.loads((converted / "model_index.json").read_text())

    assert index.pop("_class_name") == "VideoToAudioPipeline"
    index.pop("_diffusers_version")
    assert index == COMPONENTS
    assert names_in(converted) == sorted([*COMPONENTS, "README.md", "model_index.json"])


def test_the_folder_is_what_save_pretrained_writes(converted, tmp_path):
    VideoToAudioPipeline.from_pretrained(converted).save_pretrained(tmp_path)

    def files_of(folder):
        return {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}

    written, saved = files_of(converted), files_of(tmp_path)
    assert written.keys() - {Path("README.md")} == saved.keys()
    for name, path in saved.items():
        if name.suffix == ".json":
            # Where something was loaded from is recorded on loading.
            where = ("_name_or_path", "is_local", "local_files_only")
            content = json.loads(path.read_text())
            expected = json.loads(written[name].read_text())
            assert {k: v for k, v in content.items() if k not in where} == expected, name
        else:
            assert path.read_bytes() == written[name].read_bytes(), name


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

    vocabulary = pipeline_folder._build_tokenizer(MMAUDIO_RECIPES["mm-s16k"], (path,)).get_vocab()
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

    @pytest.mark.parametrize("variant", [name for name in MMAUDIO_RECIPES if name != "mm-s16k"])
    def test_a_published_network_of_another_variant(self, tmp_path, variant):
        """Only the shapes of the published network are stored: each tensor is one number, repeated."""
        source = tmp_path / "source"
        source.mkdir()
        shapes = json.loads((FIXTURES / "mmaudio" / "reference_state_dicts.json").read_text())
        shapes = shapes[MMAUDIO_RECIPES[variant].original_name]
        torch.save({name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}, source / "network.pth")

        message = self.refused(source, tmp_path, recipe="mm-s16k")
        assert f"MMAudio network: missing. `network.pth` is that of {variant} (" in message

    def test_two_files_for_one_part(self, source, tmp_path):
        shutil.copy(source / "ext_weights" / "v1-16.pth", source / "again.pth")

        message = self.refused(source, tmp_path)
        assert "mel VAE, 16000 Hz: found in `again.pth` and `ext_weights/v1-16.pth`; keep one" in message

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
            ("mm-xl", {}, "`variant` is 'mm-xl'; accepted are mm-s16k, mm-s44k, mm-m44k, mm-l44k, mm-l44k-v2."),
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


class _Hub(BaseHTTPRequestHandler):
    """The few answers of the Hub that downloading and uploading need. `server.files`: path after the host -> file."""

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if self.path == "/api/whoami-v2":
            known = self.headers.get("Authorization") == "Bearer hf_known"
            self.answer(*((200, {"name": "me"}) if known else (401, {"error": "Invalid token"})))
        elif self.path in self.server.files:
            content = self.server.files[self.path].read_bytes()
            self.answer(200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": "a" * 40})
        else:
            self.answer(404, {"error": "not found"}, {"X-Error-Code": "EntryNotFound"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            self.answer(200, {"url": f"{constants.ENDPOINT}/me/tiny"})
        elif self.path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            self.answer(200, {"files": files})
        elif self.path == "/api/models/me/tiny/commit/main":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.uploaded[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            commit_url = f"{constants.ENDPOINT}/me/tiny/commit/b"
            self.answer(200, {"commitOid": "b" * 40, "commitUrl": commit_url, "success": True})
        elif self.path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        else:
            self.answer(403, {"error": "Forbidden"})

    def answer(self, status, content, headers=None):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@pytest.fixture
def hub(published, tmp_path_factory, monkeypatch):
    """A Hub on this machine that has the published files in their repositories."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    mmaudio, clip = "/hkchengrex/MMAudio/resolve/main", "/apple/DFN5B-CLIP-ViT-H-14-384/resolve/main"
    server.files = {
        **{f"{mmaudio}/{path.relative_to(published)}": path for path in published.glob("*weights/*")},
        **{f"{clip}/{path.name}": path for path in (published / "clip").iterdir()},
    }
    server.created, server.uploaded = [], {}
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )
    cache = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class TestHub:
    def test_the_published_files_are_downloaded(self, hub, tmp_path, converted):
        folder = convert_pipeline(RECIPE, "hkchengrex/MMAudio", tmp_path / "out")

        for weights in converted.rglob("*.safetensors"):
            assert (folder / weights.relative_to(converted)).read_bytes() == weights.read_bytes()

    @pytest.mark.parametrize("repo_id", ["hkchengrex/MMAudio", "no/such-repository"])
    def test_a_file_that_is_not_there_is_named(self, hub, tmp_path, repo_id):
        del hub.files["/hkchengrex/MMAudio/resolve/main/ext_weights/synchformer_state_dict.pth"]

        with pytest.raises(CheckpointError, match=f"ext_weights/synchformer_state_dict.pth cannot be had .*{repo_id}"):
            convert_pipeline(RECIPE, repo_id, tmp_path / "out")
        assert names_in(tmp_path) == []

    def test_a_file_of_another_variant_is_named(self, hub, tmp_path):
        with pytest.raises(CheckpointError, match=r"`open_clip_pytorch_model.bin` .* of mm-s16k but another"):
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
