# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The README.md of a converted pipeline, and the table in docs/checkpoints.md, against the recipes."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from deepaudio_diffusers.conversion.model_card import SourceFile, build_model_card
from deepaudio_diffusers.conversion.recipes import MMAUDIO_RECIPES


DOCS = Path(__file__).parents[2] / "docs" / "checkpoints.md"


@pytest.fixture(params=MMAUDIO_RECIPES)
def recipe(request):
    return MMAUDIO_RECIPES[request.param]


def card_of(recipe, md5=None):
    files = {
        part.kind: SourceFile(f"{part.kind}.pth", md5 or part.published.md5 or "0" * 32, "f" * 64)
        for part in recipe.parts
    }
    return build_model_card(recipe, files, dtype="bfloat16", name="me/converted", package_version="1.2.3")


def test_the_header_survives_saving(tmp_path, recipe):
    card_of(recipe).save(tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data

    assert data.license == "cc-by-nc-4.0"
    assert data.library_name == "diffusers"
    assert data.pipeline_tag == "video-to-audio"
    assert data.base_model == "hkchengrex/MMAudio"
    assert "text-to-audio" in data.tags


def test_every_component_has_its_licence_and_origin(recipe):
    text = card_of(recipe).text

    components = [component for part in recipe.parts for component in part.components]
    assert sorted(components) == ["image_encoder", "text_encoder", "transformer", "vae", "video_encoder", "vocoder"]
    for part in recipe.parts:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{part.components[0]}`")]
        assert part.published.licence in row
        assert part.published.url in row


def test_it_says_how_it_was_made_and_how_to_use_and_cite_it(recipe):
    text = card_of(recipe).text

    for expected in (
        f"deepaudio-diffusers 1.2.3 (`deepaudio convert {recipe.variant}`)",
        "bfloat16",
        'VideoToAudioPipeline.from_pretrained("me/converted", dtype=torch.bfloat16)',
        "arXiv:2412.15322",
        "arXiv:2503.22265",
        "f" * 64,
    ):
        assert expected in text
    assert "{" not in text.split("## Citation")[0]


def test_checksums_are_compared_with_the_published_ones(recipe):
    published = card_of(recipe).text
    assert "| equal |" in published
    assert "differs" not in published

    resaved = card_of(recipe, md5="1" * 32).text
    assert "| equal |" not in resaved
    assert resaved.count("differs") == sum(part.published.md5 is not None for part in recipe.parts)


def test_the_documentation_lists_every_published_file(recipe):
    documentation = DOCS.read_text(encoding="utf-8")

    assert f"`deepaudio convert {recipe.variant} --source DIR" in documentation
    for part in recipe.parts:
        file = part.published
        (row,) = [line for line in documentation.splitlines() if line.startswith("| [") and f"`{file.path}`" in line]
        assert f"| {file.size} |" in row
        assert (file.md5 or "not published") in row
