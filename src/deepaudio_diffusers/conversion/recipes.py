# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the published MMAudio variants are made of, as data.

MMAudio: arXiv 2412.15322, hkchengrex/MMAudio (code MIT, networks CC BY-NC 4.0). File names, sizes and MD5 sums are
those that the original repositories state; they appear in messages and model cards and are not enforced, because
people save weights again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import InputError


MMAUDIO_REPO = "hkchengrex/MMAudio"


@dataclass(frozen=True)
class PublishedFile:
    """A weights file on the Hub.

    Attributes:
        repo_id (`str`): Repository on the Hub.
        path (`str`): Path inside it.
        size (`str`): Size as its publisher states it.
        md5 (`str`, *optional*): MD5 sum as its publisher states it.
        licence (`str`): Licence of the weights, and how it is known.
    """

    repo_id: str
    path: str
    size: str
    md5: str | None
    licence: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def url(self) -> str:
        return f"https://huggingface.co/{self.repo_id}/resolve/main/{self.path}"


@dataclass(frozen=True)
class Part:
    """One original checkpoint of a pipeline.

    Attributes:
        title (`str`): What it is, in words.
        kind (`str`): Which network it has to be; see `Identity` in `checkpoints.py`.
        facts (`Mapping[str, int | bool]`): Sizes the checkpoint must have; a fact that is not named may be anything.
            Those of CLIP name `vocab_size` and `text_length`, which the tokenizer is made for.
        published (`PublishedFile`): Where it is published.
        components (`tuple[str, ...]`): Pipeline components that are made from it, in the order of its converter.
        convert_options (`Mapping[str, object]`): What its converter has to be told because shapes do not say it.
    """

    title: str
    kind: str
    facts: Mapping[str, int | bool]
    published: PublishedFile
    components: tuple[str, ...]
    convert_options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class MMAudioRecipe:
    """All parts of one MMAudio pipeline. A network of another size that was trained elsewhere needs one of its own.

    Attributes:
        variant (`str`): Name on the command line.
        original_name (`str`): Name in the original repository.
        sampling_rate (`int`): Of the audio it makes, in Hz.
        parts (`tuple[Part, ...]`): In the order in which they are converted.
    """

    variant: str
    original_name: str
    sampling_rate: int
    parts: tuple[Part, ...]

    def part(self, component: str) -> Part:
        """The part that `component` is made from."""
        return next(part for part in self.parts if component in part.components)


_NETWORK_LICENCE = "CC BY-NC 4.0 (stated by the authors)"
_VAE_LICENCE = "CC BY-NC 4.0 (published with the networks; no separate statement)"

_V1_16 = PublishedFile(
    MMAUDIO_REPO, "ext_weights/v1-16.pth", "655 MB", "69f56803f59a549a1a507c93859fd4d7", _VAE_LICENCE
)
_V1_44 = PublishedFile(
    MMAUDIO_REPO, "ext_weights/v1-44.pth", "1.2 GB", "fab020275fa44c6589820ce025191600", _VAE_LICENCE
)
_BEST_NETG = PublishedFile(
    MMAUDIO_REPO,
    "ext_weights/best_netG.pt",
    "429 MB",
    "eeaf372a38a9c31c362120aba2dde292",
    "from Make-An-Audio 2 (code MIT; no separate statement for the weights)",
)
_BIGVGAN_V2 = PublishedFile(
    "nvidia/bigvgan_v2_44khz_128band_512x", "bigvgan_generator.pt", "489 MB", None, "MIT (stated by NVIDIA)"
)
_SYNCHFORMER = PublishedFile(
    MMAUDIO_REPO,
    "ext_weights/synchformer_state_dict.pth",
    "907 MB",
    "5b2f5594b0730f70e41e549b7c94390c",
    "from Synchformer (code MIT; no separate statement for the weights)",
)
CLIP_FILE = PublishedFile(
    "apple/DFN5B-CLIP-ViT-H-14-384",
    "open_clip_pytorch_model.bin",
    "3.95 GB",
    None,
    "Apple Machine Learning Research Model licence (`apple-amlr`, research only; earlier `apple-sample-code-license`)",
)
# In the same repository as `CLIP_FILE`: the ids of CLIP's tokens, and the byte pairs they are merged from.
TOKENIZER_FILES = ("vocab.json", "merges.txt")

_SYNCHFORMER_PART = Part(
    "Synchformer video encoder",
    "synchformer",
    {"hidden_size": 768, "num_layers": 12},
    _SYNCHFORMER,
    ("video_encoder",),
)
_CLIP_PART = Part(
    "DFN5B CLIP text and image encoders",
    "clip",
    {
        "patch_size": 14,
        "num_positions": 730,
        "image_layers": 32,
        "feature_size": 1024,
        "text_size": 1024,
        "text_layers": 24,
        "text_length": 77,
        "vocab_size": 49408,
    },
    CLIP_FILE,
    ("image_encoder", "text_encoder"),
)


def _recipe(
    variant: str,
    original_name: str,
    size: str,
    md5: str,
    sampling_rate: int,
    hidden_size: int,
    num_layers: int,
    num_single_layers: int,
    v2: bool,
) -> MMAudioRecipe:
    latent_channels, mel_bins = (20, 80) if sampling_rate == 16000 else (40, 128)
    network = Part(
        "MMAudio network",
        "mmaudio_transformer",
        {
            "latent_channels": latent_channels,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "num_single_layers": num_single_layers,
            "v2": v2,
        },
        PublishedFile(MMAUDIO_REPO, f"weights/mmaudio_{original_name}.pth", size, md5, _NETWORK_LICENCE),
        ("transformer",),
    )
    vae = Part(
        f"mel VAE, {sampling_rate} Hz",
        "mmaudio_vae",
        {"mel_bins": mel_bins, "latent_channels": latent_channels},
        _V1_16 if sampling_rate == 16000 else _V1_44,
        ("vae",),
    )
    vocoder = Part(
        f"BigVGAN vocoder, {sampling_rate} Hz",
        "bigvgan",
        {"mel_bins": mel_bins, "num_upsamplers": 6, "output_bias": sampling_rate == 16000},
        _BEST_NETG if sampling_rate == 16000 else _BIGVGAN_V2,
        ("vocoder",),
    )
    return MMAudioRecipe(variant, original_name, sampling_rate, (_CLIP_PART, _SYNCHFORMER_PART, network, vae, vocoder))


MMAUDIO_RECIPES = {
    recipe.variant: recipe
    for recipe in (
        _recipe(
            "mm-s16k",
            "small_16k",
            "601 MB",
            "af93cde404179f58e3919ac085b8033b",
            sampling_rate=16000,
            hidden_size=448,
            num_layers=4,
            num_single_layers=8,
            v2=False,
        ),
        _recipe(
            "mm-s44k",
            "small_44k",
            "601 MB",
            "babd74c884783d13701ea2820a5f5b6d",
            sampling_rate=44100,
            hidden_size=448,
            num_layers=4,
            num_single_layers=8,
            v2=False,
        ),
        _recipe(
            "mm-m44k",
            "medium_44k",
            "2.4 GB",
            "5a56b6665e45a1e65ada534defa903d0",
            sampling_rate=44100,
            hidden_size=896,
            num_layers=4,
            num_single_layers=8,
            v2=False,
        ),
        _recipe(
            "mm-l44k",
            "large_44k",
            "3.9 GB",
            "fed96c325a6785b85ce75ae1aafd2673",
            sampling_rate=44100,
            hidden_size=896,
            num_layers=7,
            num_single_layers=14,
            v2=False,
        ),
        _recipe(
            "mm-l44k-v2",
            "large_44k_v2",
            "3.9 GB",
            "01ad4464f049b2d7efdaa4c1a59b8dfe",
            sampling_rate=44100,
            hidden_size=896,
            num_layers=7,
            num_single_layers=14,
            v2=True,
        ),
    )
}


def get_recipe(variant: str) -> MMAudioRecipe:
    """The recipe of a published variant.

    Raises:
        InputError: When `variant` is not one of `MMAUDIO_RECIPES`.
    """
    if variant not in MMAUDIO_RECIPES:
        raise InputError(f"`variant` is {variant!r}; accepted are {', '.join(MMAUDIO_RECIPES)}.")
    return MMAUDIO_RECIPES[variant]
