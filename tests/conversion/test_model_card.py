# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The README.md of a converted pipeline, and the table in docs/checkpoints.md, against the recipes."""

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from deepaudio_diffusers.conversion.model_card import GateSource, SourceFile, build_model_card
from deepaudio_diffusers.conversion.recipes import RECIPES


DOCS = Path(__file__).parents[2] / "docs" / "checkpoints.md"

# Family -> what the header of its cards says.
HEADERS = {
    "MMAudio": {"pipeline_tag": "video-to-audio", "base_model": "hkchengrex/MMAudio"},
    "F5-TTS": {"pipeline_tag": "text-to-speech", "base_model": "SWivid/F5-TTS"},
    "DeepAudio-V1 speech": {"pipeline_tag": "text-to-speech", "base_model": ["lshzhm/DeepAudio-V1", "SWivid/F5-TTS"]},
    "DeepAudio-V1": {
        "pipeline_tag": "video-to-audio",
        "base_model": ["lshzhm/DeepAudio-V1", "hkchengrex/MMAudio", "SWivid/F5-TTS"],
    },
}
COMPONENTS = {
    "VideoToAudioPipeline": ["image_encoder", "text_encoder", "transformer", "vae", "video_encoder", "vocoder"],
    "TextToSpeechPipeline": ["transformer", "vocoder"],
    "DeepAudioPipeline": [
        *("image_encoder", "speech_transformer", "speech_vocoder"),
        *("text_encoder", "transformer", "vae", "video_encoder", "vocoder"),
    ],
}
PAPERS = {
    "MMAudio": ["arXiv:2412.15322", "arXiv:2503.22265"],
    "F5-TTS": ["arXiv:2410.06885", "arXiv:2306.00814", "arXiv:2503.22265"],
    "DeepAudio-V1 speech": ["arXiv:2503.22265", "arXiv:2410.06885", "arXiv:2306.00814"],
    "DeepAudio-V1": ["arXiv:2503.22265", "arXiv:2412.15322", "arXiv:2410.06885", "arXiv:2306.00814"],
}
GATE = GateSource("deepaudio-gate", "apache-2.0", SourceFile("model.safetensors", "2" * 32, "3" * 64))
COMPOSED = [variant for variant, recipe in RECIPES.items() if recipe.composed_of]


@pytest.fixture(params=RECIPES)
def recipe(request):
    return RECIPES[request.param]


def md5_of(part):
    return None if part.published is None else part.published.md5


def card_of(recipe, md5=None, gate=None):
    files = {
        part.kind: SourceFile(f"{part.kind}.pth", md5 or md5_of(part) or "0" * 32, "f" * 64) for part in recipe.parts
    }
    return build_model_card(recipe, files, dtype="bfloat16", name="me/converted", package_version="1.2.3", gate=gate)


def row_of(recipe, component, **options):
    """The row of the table of licences that begins with a component."""
    lines = card_of(recipe, **options).text.splitlines()
    (row,) = [line for line in lines if line.startswith((f"| `{component}` |", f"| `{component}`, "))]
    return row


def test_the_header_survives_saving(tmp_path, recipe):
    card_of(recipe).save(tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data.to_dict()

    assert data["library_name"] == "diffusers"
    assert data["pipeline_tag"] in data["tags"]
    header = HEADERS[recipe.family.name] | {"license": "cc-by-nc-4.0"}
    if recipe.variant == "f5-small":
        header |= {"license": "other", "base_model": None}
    assert {name: data.get(name) for name in header} == header


def test_every_component_has_its_licence_and_origin(recipe):
    text = card_of(recipe).text

    components = [component for part in recipe.parts for component in part.components]
    assert sorted(components) == COMPONENTS[recipe.family.pipeline]
    for part in recipe.parts:
        row = row_of(recipe, part.components[0])
        if part.published is None:
            assert "not published by the authors" in row
        else:
            assert part.published.licence in row
            assert part.published.url in row
    assert ("for non-commercial use" in text) == recipe.is_published


@pytest.mark.parametrize("variant", [name for name in RECIPES if not name.startswith("mm-")])
def test_the_vocabulary_of_speech_networks_has_a_licence_of_its_own(variant):
    row = row_of(RECIPES[variant], "speech_tokenizer" if variant in COMPOSED else "tokenizer")

    assert ("not published by the authors" if variant == "f5-small" else "/vocab.txt) | MIT") in row


@pytest.mark.parametrize("variant", ["v2s-s16", "v2s-s44", "v2s-m44", "v2s-l44", *COMPOSED])
def test_the_stated_licence_of_deepaudio_is_not_the_whole_truth(variant):
    row = row_of(RECIPES[variant], "speech_transformer" if variant in COMPOSED else "transformer")

    assert "stated as MIT, but" in row
    assert "CC BY-NC 4.0" in row


@pytest.mark.parametrize("variant", COMPOSED)
def test_a_composed_folder_states_the_licence_of_every_kind_of_part(variant):
    recipe = RECIPES[variant]

    assert "Apple Machine Learning Research" in row_of(recipe, "image_encoder")
    assert "CC BY-NC 4.0 (stated by the authors)" in row_of(recipe, "transformer")
    assert "MIT" in row_of(recipe, "vocoder" if variant != "deepaudio-s16" else "speech_vocoder")
    assert "MIT (stated by the authors)" in row_of(recipe, "speech_vocoder")
    gate = row_of(recipe, "gate", gate=GATE)
    assert "| from the folder `deepaudio-gate` | `apache-2.0`" in gate
    assert "FLAN-T5, if its text encoder began as that: Apache-2.0" in gate
    unknown = row_of(recipe, "gate", gate=replace(GATE, licence=None))
    assert "its folder states none" in unknown


@pytest.mark.parametrize("variant", COMPOSED)
def test_a_gate_lets_the_example_speak_to_it(variant):
    with_gate, without = (card_of(RECIPES[variant], gate=gate).text for gate in (GATE, None))

    assert 'pipe("clip.mp4", instruction="' in with_gate
    assert f"`deepaudio convert {variant} --gate deepaudio-gate`" in with_gate
    assert f"| model.safetensors | none published | `{'2' * 32}` | `{'3' * 64}` |" in with_gate
    assert "no gate" not in with_gate
    assert 'pipe("clip.mp4", task="soundtrack"' in without
    assert "This folder has no gate" in without
    assert "--gate deepaudio-gate" not in without


def test_it_says_how_it_was_made_and_how_to_use_and_cite_it(recipe):
    text = card_of(recipe).text

    for expected in (
        f"deepaudio-diffusers 1.2.3 (`deepaudio convert {recipe.variant}`)",
        "bfloat16",
        f'{recipe.family.pipeline}.from_pretrained("me/converted", dtype=torch.bfloat16)',
        *PAPERS[recipe.family.name],
        "f" * 64,
    ):
        assert expected in text
    assert "{" not in text.split("## Citation")[0]


def test_it_says_how_it_was_trained_and_scored(recipe):
    section = card_of(recipe).text.split("## How it was trained and scored\n")[1].split("\n## ")[0]

    data = {
        "MMAudio": ["VGGSound", "AudioCaps", "Clotho", "WavCaps"],
        "F5-TTS": ["Emilia"],
        "DeepAudio-V1 speech": ["Emilia", "V2C-Animation"],
        "DeepAudio-V1": ["VGGSound", "Emilia", "V2C-Animation"],
    }
    known = data[recipe.family.name] if recipe.is_published else ["whoever gave the converted file knows"]
    assert [name for name in known if name not in section] == []
    assert "none of them was measured again" in section


@pytest.mark.parametrize("gate", [None, GATE], ids=["no gate", "gate"])
def test_the_example_is_python(recipe, gate):
    example = card_of(recipe, gate=gate).text.split("```python\n")[1].split("```")[0]

    compile(example, "README.md", "exec")


def test_checksums_are_compared_with_the_published_ones(recipe):
    known = sum(md5_of(part) is not None for part in recipe.parts)
    published = card_of(recipe).text
    assert published.count("| equal |") == known
    assert published.count("| none published |") == len(recipe.parts) - known
    assert "differs" not in published

    resaved = card_of(recipe, md5="1" * 32).text
    assert "| equal |" not in resaved
    assert resaved.count("differs") == known


def test_the_documentation_lists_every_published_file(recipe):
    documentation = DOCS.read_text(encoding="utf-8")

    assert f"`deepaudio convert {recipe.variant} --source DIR" in documentation
    files = [part.published for part in recipe.parts]
    files += [file for tokenizer in recipe.tokenizers for file in tokenizer.published]
    for file in filter(None, files):
        (row,) = [line for line in documentation.splitlines() if line.startswith("| [") and f"`{file.path}`" in line]
        assert f"| {file.size} |" in row
        assert (file.md5 or "not published") in row
