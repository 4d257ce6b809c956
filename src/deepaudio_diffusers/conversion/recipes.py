# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the published variants of MMAudio, F5-TTS and DeepAudio-V1 are made of, as data.

MMAudio: arXiv 2412.15322, hkchengrex/MMAudio (code MIT, networks CC BY-NC 4.0). F5-TTS: arXiv 2410.06885,
SWivid/F5-TTS (code MIT, networks CC BY-NC 4.0). DeepAudio-V1: arXiv 2503.22265, acappemin/DeepAudio-V1; its speech
networks are trained on from those of F5-TTS. File names, sizes and MD5 sums are those that the original repositories
state, or follow from the number of parameters; they appear in messages and model cards and are not enforced, because
people save weights again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import InputError


MMAUDIO_REPO = "hkchengrex/MMAudio"
F5TTS_REPO = "SWivid/F5-TTS"
DEEPAUDIO_REPO = "lshzhm/DeepAudio-V1"


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
class TokenizerFiles:
    """The files beside the checkpoints that say which tokens the network of a pipeline reads.

    Attributes:
        title (`str`): What they are, in words.
        kind (`str`): How they are found and read; see `TOKENIZERS` in `tokenizers.py`.
        component (`str`): Pipeline component that is made from them.
        reader (`str`): Pipeline component that reads the tokens.
        published (`tuple[PublishedFile, ...]`): Where they are published; empty when they are not.
        hint (`str`): What else to know, for the message that they are missing.
    """

    title: str
    kind: str
    component: str
    reader: str
    published: tuple[PublishedFile, ...]
    hint: str


@dataclass(frozen=True)
class Family:
    """What the variants of one original repository have in common.

    Attributes:
        name (`str`): Its name.
        repo_id (`str`): The Hub repository that `source` names to download what is published.
        pipeline (`str`): Class of this package that their folders are for.
        has_gate (`bool`): Whether that pipeline reads instructions, for which it needs a trained gate.
    """

    name: str
    repo_id: str
    pipeline: str
    has_gate: bool = False


@dataclass(frozen=True)
class Part:
    """One original checkpoint of a pipeline.

    Attributes:
        title (`str`): What it is, in words.
        kind (`str`): Which network it has to be; see `Identity` in `checkpoints.py`.
        facts (`Mapping[str, int | bool]`): Sizes the checkpoint must have; a fact that is not named may be anything.
            Those of CLIP name `vocab_size` and `text_length`, which the tokenizer is made for.
        published (`PublishedFile`, *optional*): Where it is published; `None` when it is not.
        components (`tuple[str, ...]`): Pipeline components that are made from it, in the order of its converter.
        convert_options (`Mapping[str, object]`): What its converter has to be told because shapes do not say it.
        names (`Mapping[str, str]`): Only for networks that others share all shapes with, so that no more than a name
            tells them apart: variant -> regular expression, of which the first that is found in `folder/file` says
            what it is for; case does not matter. They hold this variant and what it can be confused with.
        variant (`str`): Which of `names` this one is.
    """

    title: str
    kind: str
    facts: Mapping[str, int | bool]
    published: PublishedFile | None
    components: tuple[str, ...]
    convert_options: Mapping[str, object] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""

    def variant_by_name(self, path: Path) -> str | None:
        """Which of `names` the names of a file and of its folder speak for, or `None` when they are silent."""
        name = f"{path.absolute().parent.name}/{path.name}"
        fitting = (variant for variant, pattern in self.names.items() if re.search(pattern, name, re.IGNORECASE))
        return next(fitting, None)


@dataclass(frozen=True)
class Recipe:
    """All parts of one pipeline. A network of another size that was trained elsewhere needs one of its own.

    Attributes:
        variant (`str`): Name on the command line.
        original_name (`str`): Name in the original repository.
        family (`Family`): What it has in common with others.
        sampling_rate (`int`): Of the audio it makes, in Hz; the highest, where it makes several kinds.
        tokenizers (`tuple[TokenizerFiles, ...]`): What its tokenizers are made of.
        schedulers (`Mapping[str, Mapping[str, object]]`): Component -> the arguments of `FlowMatchGridEulerScheduler`
            that give the original sampler.
        parts (`tuple[Part, ...]`): In the order in which they are converted.
        composed_of (`tuple[str, ...]`): The variants that all this was taken from; empty when it is its own.
    """

    variant: str
    original_name: str
    family: Family
    sampling_rate: int
    tokenizers: tuple[TokenizerFiles, ...]
    schedulers: Mapping[str, Mapping[str, object]]
    parts: tuple[Part, ...]
    composed_of: tuple[str, ...] = ()

    @property
    def is_published(self) -> bool:
        """Whether all its files can be downloaded."""
        return all(tokenizer.published for tokenizer in self.tokenizers) and all(part.published for part in self.parts)

    @property
    def networks(self) -> tuple[Part, ...]:
        """The parts that give it its name; the others are shared with other variants."""
        return tuple(part for part in self.parts if part.kind in ("mmaudio_transformer", "f5tts_transformer"))

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
_CLIP_FILE = PublishedFile(
    "apple/DFN5B-CLIP-ViT-H-14-384",
    "open_clip_pytorch_model.bin",
    "3.95 GB",
    None,
    "Apple Machine Learning Research Model licence (`apple-amlr`, research only; earlier `apple-sample-code-license`)",
)
# The vocabulary as open_clip ships it, for people who have that instead of the published files.
OPEN_CLIP_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
# The ids of CLIP's tokens, and the byte pairs they are merged from.
_CLIP_TOKENIZER = TokenizerFiles(
    "CLIP tokenizer",
    "clip",
    "tokenizer",
    "text_encoder",
    tuple(replace(_CLIP_FILE, path=path, size="1.4 MB") for path in ("vocab.json", "merges.txt")),
    hint=f"open_clip's {OPEN_CLIP_VOCABULARY} will do as well",
)

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
    _CLIP_FILE,
    ("image_encoder", "text_encoder"),
)


_MMAUDIO = Family("MMAudio", MMAUDIO_REPO, "VideoToAudioPipeline")


def _mmaudio_recipe(
    variant: str,
    original_name: str,
    size: str,
    md5: str,
    sampling_rate: int,
    hidden_size: int,
    num_layers: int,
    num_single_layers: int,
    v2: bool,
) -> Recipe:
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
    parts = (_CLIP_PART, _SYNCHFORMER_PART, network, vae, vocoder)
    return Recipe(variant, original_name, _MMAUDIO, sampling_rate, (_CLIP_TOKENIZER,), {"scheduler": {}}, parts)


_F5TTS_LICENCE = "CC BY-NC 4.0 (stated by the authors)"
_DEEPAUDIO_LICENCE = "stated as MIT, but trained on from weights of F5-TTS that are CC BY-NC 4.0: non-commercial"

_F5TTS = Family("F5-TTS", F5TTS_REPO, "TextToSpeechPipeline")
_DEEPAUDIO_SPEECH = Family("DeepAudio-V1 speech", DEEPAUDIO_REPO, "TextToSpeechPipeline")
_DEEPAUDIO = Family("DeepAudio-V1", DEEPAUDIO_REPO, "DeepAudioPipeline", has_gate=True)


# The networks of DeepAudio-V1 come without a vocabulary: theirs is that of `F5TTS_Base`.
_F5TTS_TOKENIZER = TokenizerFiles(
    "F5-TTS vocabulary",
    "f5tts",
    "tokenizer",
    "transformer",
    (PublishedFile(F5TTS_REPO, "F5TTS_Base/vocab.txt", "14 kB", None, "MIT (as the code that it belongs to)"),),
    hint="it has one token a line, and the first line is a single space",
)
_VOCOS_PART = Part(
    "Vocos vocoder, 24000 Hz",
    "vocos",
    {"num_mels": 100, "hidden_size": 512, "num_layers": 8, "n_fft": 1024},
    PublishedFile("charactr/vocos-mel-24khz", "pytorch_model.bin", "54 MB", None, "MIT (stated by the authors)"),
    ("vocoder",),
)

# The first generation has no mask over the filler after the text, and rotates the first attention head alone.
_F5TTS_V0 = {"text_mask_padding": False, "num_rotary_heads": 1}
_F5TTS_V1 = {"text_mask_padding": True, "num_rotary_heads": None}
# Names that people and the training code of F5-TTS give. The mels of BigVGAN are other ones than those of Vocos.
_BIGVGAN_NAMES = {"BigVGAN": "bigvgan"}
_BASE_NAMES = _BIGVGAN_NAMES | {
    "f5-v1-base": r"f5[-_ ]?(tts)?[-_ ]?v1|v1[-_ ]?base|model_1250000",
    "f5-base": r"f5[-_ ]?(tts)?[-_ ]?base|model_1200000",
}
_SMALL_NAMES = _BIGVGAN_NAMES | {
    "F5TTS_v1_Small": r"f5[-_ ]?(tts)?[-_ ]?v1|v1[-_ ]?small",
    "f5-small": r"f5[-_ ]?(tts)?[-_ ]?small",
}
_DEEPAUDIO_NAMES = {f"v2s-{size}": f"v2c[-_ ]?{size}" for size in ("s16", "s44", "m44", "l44")}

_BASE_FACTS = {"hidden_size": 1024, "num_layers": 22, "num_text_layers": 4, "energy_conditioning": False}
_SMALL_FACTS = {"hidden_size": 768, "num_layers": 18, "num_text_layers": 4, "energy_conditioning": False}


def _f5tts_recipe(
    variant: str,
    original_name: str,
    file: str | None,
    facts: Mapping[str, int | bool],
    convert_options: Mapping[str, object],
    names: Mapping[str, str],
) -> Recipe:
    network, vocabulary = None, ()
    if file is not None:
        network = PublishedFile(F5TTS_REPO, f"{original_name}/{file}", "1.35 GB", None, _F5TTS_LICENCE)
        vocabulary = tuple(replace(file, path=f"{original_name}/{file.name}") for file in _F5TTS_TOKENIZER.published)
    part = Part(
        "F5-TTS network", "f5tts_transformer", facts, network, ("transformer",), convert_options, names, variant
    )
    tokenizer = replace(_F5TTS_TOKENIZER, published=vocabulary)
    schedulers = {"scheduler": {"grid": "epss", "sway_coef": -1.0}}
    return Recipe(variant, original_name, _F5TTS, 24000, (tokenizer,), schedulers, (part, _VOCOS_PART))


def _deepaudio_speech_recipe(variant: str, original_name: str) -> Recipe:
    network = Part(
        "DeepAudio-V1 speech network",
        "f5tts_transformer",
        _BASE_FACTS | {"energy_conditioning": True},
        PublishedFile(DEEPAUDIO_REPO, f"{original_name}.pt", "1.35 GB", None, _DEEPAUDIO_LICENCE),
        ("transformer",),
        names=_DEEPAUDIO_NAMES,
        variant=variant,
    )
    schedulers = {"scheduler": {"grid": "sway", "sway_coef": -1.0}}
    parts = (network, _VOCOS_PART)
    return Recipe(variant, original_name, _DEEPAUDIO_SPEECH, 24000, (_F5TTS_TOKENIZER,), schedulers, parts)


def compose_deepaudio_recipe(variant: str, sound: Recipe, speech: Recipe) -> Recipe:
    """Both halves of DeepAudio-V1 in one pipeline.

    Args:
        variant (`str`): Name of the composed recipe.
        sound (`Recipe`): The half that makes sound for a picture, of `VideoToAudioPipeline`.
        speech (`Recipe`): The half that speaks, of `TextToSpeechPipeline`, trained on the energy of the sound that the
            other half makes. Its components get the prefix `speech_`.

    Returns:
        `Recipe`: For `DeepAudioPipeline`.
    """

    def prefixed(component: str) -> str:
        return f"speech_{component}"

    parts = (replace(part, components=tuple(map(prefixed, part.components))) for part in speech.parts)
    tokenizers = (
        replace(tokenizer, component=prefixed(tokenizer.component), reader=prefixed(tokenizer.reader))
        for tokenizer in speech.tokenizers
    )
    return Recipe(
        variant,
        f"{sound.original_name} + {speech.original_name}",
        _DEEPAUDIO,
        max(sound.sampling_rate, speech.sampling_rate),
        (*sound.tokenizers, *tokenizers),
        {**sound.schedulers, **{prefixed(name): arguments for name, arguments in speech.schedulers.items()}},
        (*sound.parts, *parts),
        composed_of=(sound.variant, speech.variant),
    )


RECIPES = {
    recipe.variant: recipe
    for recipe in (
        _mmaudio_recipe(
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
        _mmaudio_recipe(
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
        _mmaudio_recipe(
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
        _mmaudio_recipe(
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
        _mmaudio_recipe(
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
        _f5tts_recipe("f5-base", "F5TTS_Base", "model_1200000.safetensors", _BASE_FACTS, _F5TTS_V0, _BASE_NAMES),
        _f5tts_recipe("f5-v1-base", "F5TTS_v1_Base", "model_1250000.safetensors", _BASE_FACTS, _F5TTS_V1, _BASE_NAMES),
        # The authors publish its configuration; the weights of this size are other people's.
        _f5tts_recipe("f5-small", "F5TTS_Small", None, _SMALL_FACTS, _F5TTS_V0, _SMALL_NAMES),
        _deepaudio_speech_recipe("v2s-s16", "v2c_s16"),
        _deepaudio_speech_recipe("v2s-s44", "v2c_s44"),
        _deepaudio_speech_recipe("v2s-m44", "v2c_m44"),
        _deepaudio_speech_recipe("v2s-l44", "v2c_l44"),
    )
}
# Each speech network with the network whose sound it was trained on.
RECIPES |= {
    f"deepaudio-{size}": compose_deepaudio_recipe(f"deepaudio-{size}", RECIPES[f"mm-{size}k"], RECIPES[f"v2s-{size}"])
    for size in ("s16", "s44", "m44", "l44")
}


def get_recipe(variant: str) -> Recipe:
    """The recipe of a published variant.

    Raises:
        InputError: When `variant` is not one of `RECIPES`.
    """
    if variant not in RECIPES:
        raise InputError(f"`variant` is {variant!r}; accepted are {', '.join(RECIPES)}.")
    return RECIPES[variant]
