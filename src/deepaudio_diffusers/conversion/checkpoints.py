# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading checkpoint files without running what is in them, and telling by their keys which network they hold.

The networks are those of MMAudio (arXiv 2412.15322; original code: hkchengrex/MMAudio, MIT), of F5-TTS (arXiv
2410.06885; SWivid/F5-TTS, MIT), of DeepAudio-V1 (arXiv 2503.22265; acappemin/DeepAudio-V1), and of the repositories
they take parts from. File names play no role: people rename files.
"""

import pickle
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from ..errors import CheckpointError


SAFETENSORS_SUFFIX = ".safetensors"
PICKLE_SUFFIXES = (".pt", ".pth", ".bin")
CHECKPOINT_SUFFIXES = (SAFETENSORS_SUFFIX, *PICKLE_SUFFIXES)

_ZIP_MAGIC = b"PK\x03\x04"
_LFS_POINTER = b"version https://git-lfs"

# Where the state dict lies inside a file that holds more than one, in the order of preference: training checkpoints of
# F5-TTS (`ema_model_state_dict`, which is what is published and heard, `model_state_dict`, `optimizer_state_dict`,
# `scheduler_state_dict`, `update`) and of MMAudio (`it`, `weights`, `optimizer`, `scheduler`, `ema`), BigVGAN's
# `generator`, and the two most common habits.
_WRAPPER_KEYS = ("ema_model_state_dict", "model_state_dict", "weights", "generator", "state_dict", "model")

# What torch's weights-only unpickler was seen to raise on randomly damaged files, beside `UnpicklingError`.
_DAMAGE_ERRORS = (
    pickle.UnpicklingError,
    struct.error,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Identity:
    """Which network a state dict belongs to.

    Attributes:
        kind (`str`): `"mmaudio_transformer"`, `"mmaudio_vae"`, `"bigvgan"`, `"synchformer"`, `"clip"`,
            `"f5tts_transformer"` or `"vocos"`.
        facts (`Mapping[str, int | bool]`): The sizes that tell variants of that network apart, such as
            `{"mel_bins": 80, "latent_channels": 20, "hidden_channels": 384}`.
    """

    kind: str
    facts: Mapping[str, int | bool]


def load_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """Load the state dict in a checkpoint file onto the CPU, running no code from it.

    Tensors of `.safetensors` files and of PyTorch's zip-based files are mapped from disk, so memory is only taken by
    what is used. A state dict that is one entry of a training checkpoint is taken out.

    Args:
        path (`str` or `Path`): A `.safetensors`, `.pt`, `.pth` or `.bin` file.

    Returns:
        `dict[str, torch.Tensor]`: The tensors under their original names.

    Raises:
        CheckpointError: When the file is missing, empty, damaged, of another format, needs Python code to load, or
            holds something else than named tensors.
    """
    path = _checked_path(path)
    if path.suffix == SAFETENSORS_SUFFIX:
        try:
            return load_file(path)
        except SafetensorError as error:
            raise _damaged(path, error) from error

    with path.open("rb") as file:
        is_zip = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except _DAMAGE_ERRORS as error:
        # Raised without its cause: torch's own message tells how to load the file all the same.
        unsafe = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if unsafe is not None:
            raise CheckpointError(
                f"`{path.name}` is refused: loading it would run Python code (`{unsafe[1]}`), and code in a weights "
                "file can do anything to this machine. Get the file from its original publisher, or ask whoever made "
                "it for a .safetensors file."
            ) from None
        raise _damaged(path, error) from None
    return _state_dict(path, content)


def read_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a checkpoint file, reading as little of it as its format allows.

    Takes and raises what `load_checkpoint` does.
    """
    path = _checked_path(path)
    if path.suffix != SAFETENSORS_SUFFIX:
        return {name: tuple(tensor.shape) for name, tensor in load_checkpoint(path).items()}
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise _damaged(path, error) from error


def identify(shapes: Shapes) -> Identity | None:
    """Tell which network a state dict belongs to.

    Args:
        shapes (`Mapping[str, tuple[int, ...]]`): Shape of each tensor by its original name, from `read_shapes`.

    Returns:
        `Identity` or `None`: `None` when it is none of the networks that this package converts.

    Raises:
        CheckpointError: When the names are those of a known network but a shape cannot be.
    """
    for kind, (signature, read_facts) in _NETWORKS.items():
        if all(any(name in shapes for name in names) for names in signature):
            return Identity(kind, MappingProxyType(read_facts(shapes)))
    return None


def _checked_path(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix not in CHECKPOINT_SUFFIXES:
        raise CheckpointError(
            f"`{path.name}` is not a weights file this package reads; accepted are {', '.join(CHECKPOINT_SUFFIXES)}."
        )
    if not path.is_file():
        raise CheckpointError(f"`{path.name}` is not there, or is not a file. Check the path.")
    with path.open("rb") as file:
        beginning = file.read(len(_LFS_POINTER))
    if not beginning:
        raise CheckpointError(f"`{path.name}` is empty. Download it again.")
    if beginning == _LFS_POINTER:
        raise CheckpointError(
            f"`{path.name}` is a Git LFS pointer, not the weights it stands for. Run `git lfs pull` in its "
            "repository, or download the file itself."
        )
    return path


def _damaged(path: Path, error: Exception) -> CheckpointError:
    if isinstance(error, pickle.UnpicklingError):
        detail = "not a pickle of tensors"
    else:
        detail = str(error).strip() or "the data end too early"
    return CheckpointError(
        f"`{path.name}` cannot be read: it is cut off, damaged, or not a weights file "
        f"({type(error).__name__}: {detail.splitlines()[0]}). Download it again and compare its size and checksum "
        "with the published ones."
    )


def _state_dict(path: Path, content: object) -> dict[str, torch.Tensor]:
    if _is_state_dict(content):
        return dict(content)
    if isinstance(content, dict):
        for key in _WRAPPER_KEYS:
            if _is_state_dict(content.get(key)):
                return dict(content[key])
    found = f"a dict with the keys {sorted(map(str, content))[:8]}" if isinstance(content, dict) else type(content)
    raise CheckpointError(
        f"`{path.name}` holds {found}, not a state dict; accepted are named tensors, alone or under one of the keys "
        f"{', '.join(repr(key) for key in _WRAPPER_KEYS)}."
    )


def _is_state_dict(content: object) -> bool:
    return (
        isinstance(content, dict)
        and len(content) > 0
        and all(isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in content.items())
    )


def _size(shapes: Shapes, names: Iterable[str], axis: int) -> int:
    """Size along `axis` of the first of `names` that is there."""
    name = next(name for name in names if name in shapes)
    if len(shapes[name]) <= axis:
        raise CheckpointError(f"`{name}` has shape {shapes[name]}; a tensor with {axis + 1} or more axes is expected.")
    return shapes[name][axis]


def _count(shapes: Shapes, *prefixes: str) -> int:
    """Number of layers `prefix`0, `prefix`1, ..."""
    pattern = "(?:" + "|".join(map(re.escape, prefixes)) + r")(\d+)\."
    return len({int(match[1]) for name in shapes if (match := re.match(pattern, name))})


def _transformer_facts(shapes: Shapes) -> dict[str, int | bool]:
    return {
        "latent_channels": _size(shapes, ("audio_input_proj.0.weight",), 1),
        "hidden_size": _size(shapes, ("audio_input_proj.0.weight",), 0),
        "num_layers": _count(shapes, "joint_blocks."),
        "num_single_layers": _count(shapes, "fused_blocks."),
        # The feed-forward of the CLIP projection moved by one place when v2 put an activation before it.
        "v2": "clip_input_proj.2.w1.weight" in shapes,
    }


def _vae_facts(shapes: Shapes) -> dict[str, int | bool]:
    return {
        "mel_bins": _size(shapes, ("decoder.conv_out.weight",), 0),
        "latent_channels": _size(shapes, ("decoder.conv_in.weight",), 1),
        "hidden_channels": _size(shapes, ("decoder.conv_out.weight",), 1),
    }


def _bigvgan_facts(shapes: Shapes) -> dict[str, int | bool]:
    return {
        "mel_bins": _size(shapes, _weight_normed("conv_pre"), 1),
        "num_upsamplers": _count(shapes, "ups."),
        # v2 dropped this bias together with the tanh after it.
        "output_bias": "conv_post.bias" in shapes,
    }


def _synchformer_facts(shapes: Shapes) -> dict[str, int | bool]:
    return {
        "hidden_size": _size(shapes, ("vfeat_extractor.patch_embed_3d.proj.weight",), 0),
        "num_layers": _count(shapes, "vfeat_extractor.blocks."),
    }


def _clip_facts(shapes: Shapes) -> dict[str, int | bool]:
    return {
        "patch_size": _size(shapes, ("visual.conv1.weight",), 2),
        "num_positions": _size(shapes, ("visual.positional_embedding",), 0),
        "image_layers": _count(shapes, "visual.transformer.resblocks."),
        "feature_size": _size(shapes, ("visual.proj",), 1),
        "text_size": _size(shapes, ("token_embedding.weight",), 1),
        "text_layers": _count(shapes, "transformer.resblocks."),
        "text_length": _size(shapes, ("positional_embedding",), 0),
        "vocab_size": _size(shapes, ("token_embedding.weight",), 0),
    }


def _f5tts_facts(shapes: Shapes) -> dict[str, int | bool]:
    return {
        "hidden_size": _size(shapes, _f5tts_named("input_embed.proj.weight"), 0),
        "num_layers": _count(shapes, *_f5tts_named("transformer_blocks.")),
        "num_text_layers": _count(shapes, *_f5tts_named("text_embed.text_blocks.")),
        # One row more than tokens: the first stands for no token.
        "vocab_size": _size(shapes, _f5tts_named("text_embed.text_embed.weight"), 0) - 1,
        "energy_conditioning": any(name in shapes for name in _f5tts_named("input_embed.proj_energy.weight")),
    }


def _vocos_facts(shapes: Shapes) -> dict[str, int | bool]:
    return {
        "num_mels": _size(shapes, ("backbone.embed.weight",), 1),
        "hidden_size": _size(shapes, ("backbone.embed.weight",), 0),
        "num_layers": _count(shapes, "backbone.convnext."),
        # Magnitude and phase of each bin.
        "n_fft": _size(shapes, ("head.out.weight",), 0) - 2,
    }


def _f5tts_named(name: str) -> tuple[str, ...]:
    """Names of a tensor in the average of the weights, in the training module, and in the network alone."""
    return f"ema_model.transformer.{name}", f"transformer.{name}", name


def _weight_normed(module: str) -> tuple[str, ...]:
    """Names of a weight under both of torch's weight norms (direction only) and after their removal."""
    return f"{module}.weight_v", f"{module}.parametrizations.weight.original1", f"{module}.weight"


# Kind -> (names that must all be there, each with its alternatives; how its facts are read).
_NETWORKS: dict[str, tuple[tuple[tuple[str, ...], ...], Callable[[Shapes], dict[str, int | bool]]]] = {
    "mmaudio_transformer": (
        (
            ("empty_clip_feat",),
            ("sync_pos_emb",),
            ("audio_input_proj.0.weight",),
            ("joint_blocks.0.latent_block.attn.qkv.weight",),
            ("final_layer.conv.weight",),
        ),
        _transformer_facts,
    ),
    "mmaudio_vae": (
        (
            ("data_mean",),
            ("data_std",),
            ("decoder.conv_in.weight",),
            ("decoder.conv_out.weight",),
            ("decoder.mid.attn_1.qkv.weight",),
        ),
        _vae_facts,
    ),
    "bigvgan": (
        (
            _weight_normed("conv_pre"),
            _weight_normed("ups.0.0"),
            _weight_normed("conv_post"),
            ("resblocks.0.activations.0.act.alpha",),
        ),
        _bigvgan_facts,
    ),
    "synchformer": (
        (
            ("vfeat_extractor.patch_embed_3d.proj.weight",),
            ("vfeat_extractor.blocks.0.timeattn.qkv.weight",),
            ("vfeat_extractor.spatial_attn_agg.cls_token",),
        ),
        _synchformer_facts,
    ),
    "clip": (
        (
            ("visual.conv1.weight",),
            ("visual.positional_embedding",),
            ("visual.proj",),
            ("positional_embedding",),
            ("token_embedding.weight",),
            ("ln_final.weight",),
        ),
        _clip_facts,
    ),
    "f5tts_transformer": (
        (
            _f5tts_named("text_embed.text_embed.weight"),
            _f5tts_named("input_embed.proj.weight"),
            _f5tts_named("input_embed.conv_pos_embed.conv1d.0.weight"),
            _f5tts_named("transformer_blocks.0.attn_norm.linear.weight"),
            _f5tts_named("norm_out.linear.weight"),
        ),
        _f5tts_facts,
    ),
    "vocos": (
        (
            ("backbone.embed.weight",),
            ("backbone.norm.weight",),
            ("backbone.convnext.0.gamma",),
            ("head.out.weight",),
        ),
        _vocos_facts,
    ),
}
