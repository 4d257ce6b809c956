# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The recipes as data: no network can be taken for another without its name being asked, and what is composed fits."""

from itertools import permutations
from pathlib import Path

import pytest

from deepaudio_diffusers.conversion.recipes import RECIPES, get_recipe
from deepaudio_diffusers.errors import InputError


NETWORKS = {variant: recipe.part("transformer") for variant, recipe in RECIPES.items() if not recipe.composed_of}
COMPOSED = [variant for variant, recipe in RECIPES.items() if recipe.composed_of]


@pytest.mark.parametrize(("one", "other"), list(permutations(NETWORKS, 2)))
def test_networks_differ_in_sizes_or_their_names_are_asked(one, other):
    first, second = NETWORKS[one], NETWORKS[other]
    have_equal_sizes = first.kind == second.kind and all(
        second.facts.get(name, value) == value for name, value in first.facts.items()
    )

    assert (other in first.names) == have_equal_sizes


@pytest.mark.parametrize("variant", [name for name, part in NETWORKS.items() if part.names and part.published])
def test_the_published_name_speaks_for_its_variant(variant):
    part = NETWORKS[variant]

    assert part.variant == variant
    assert part.variant_by_name(Path("copy") / part.published.path) == variant
    assert part.variant_by_name(Path("downloads") / part.published.name) == variant


@pytest.mark.parametrize(
    ("variant", "path", "named_for"),
    [
        ("f5-base", "F5TTS_Base_vocos_pinyin_mine/model_last.pt", "f5-base"),
        ("f5-base", "F5-TTS_v1/model.safetensors", "f5-v1-base"),
        ("f5-base", "mine/f5-tts-v1-base.safetensors", "f5-v1-base"),
        ("f5-base", "F5TTS_v1_Base_no_zero_init/model_1250000.safetensors", "f5-v1-base"),
        ("f5-base", "F5TTS_Base_bigvgan/model_1250000.pt", "BigVGAN"),
        ("f5-base", "voice_v1/model_last.pt", None),
        ("f5-v1-base", "F5TTS_Base/model_1200000.pt", "f5-base"),
        ("f5-v1-base", "downloads/model.safetensors", None),
        ("f5-small", "F5TTS_Small_vocos_char_mine/model_last.pt", "f5-small"),
        ("f5-small", "F5TTS_v1_Small_vocos_char_mine/model_last.pt", "F5TTS_v1_Small"),
        ("v2s-s16", "DeepAudio/V2C_M44.PT", "v2s-m44"),
        ("v2s-s16", "v2c/model_14272.pt", None),
        ("mm-s16k", "weights/mmaudio_large_44k.pth", None),
    ],
)
def test_names_that_people_give(variant, path, named_for):
    assert NETWORKS[variant].variant_by_name(Path(path)) == named_for


@pytest.mark.parametrize("variant", COMPOSED)
def test_a_composed_folder_has_both_halves_of_one_training(variant):
    """Which speech network was trained on the sound of which network is in the names of the original repository."""
    recipe = RECIPES[variant]
    sound, speech = (RECIPES[name] for name in recipe.composed_of)
    size = variant.removeprefix("deepaudio-")

    assert (sound.variant, speech.variant) == (f"mm-{size}k", f"v2s-{size}")
    assert recipe.part("transformer") is sound.part("transformer")
    assert recipe.part("transformer").facts["v2"] is False
    network = recipe.part("speech_transformer")
    assert (network.published.path, network.variant) == (f"v2c_{size}.pt", f"v2s-{size}")
    assert recipe.sampling_rate == max(sound.sampling_rate, 24000)
    assert recipe.schedulers == {
        "scheduler": sound.schedulers["scheduler"],
        "speech_scheduler": speech.schedulers["scheduler"],
    }
    assert len({part.kind for part in recipe.parts}) == len(recipe.parts) == len(sound.parts) + len(speech.parts)
    assert recipe.is_published


def test_an_unknown_variant_is_told_the_known_ones():
    with pytest.raises(InputError, match=r"`variant` is 'f5'; accepted are mm-s16k, .*, f5-v1-base, .*deepaudio-l44"):
        get_recipe("f5")
