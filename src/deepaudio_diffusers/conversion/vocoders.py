# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Original state dicts of vocoders: BigVGAN, first and second version, and Vocos.

Original code: NVIDIA/BigVGAN (MIT) and gemelo-ai/vocos (MIT). Checkpoints of BigVGAN come with weight normalisation,
in either of PyTorch's two notations, or with the weights multiplied out; here they are always multiplied out.
"""

import re
from typing import Any

import torch

from ..errors import CheckpointError
from ..models.vocoder_bigvgan import FILTER_TAPS, BigVGANVocoder, lowpass_filter
from ..models.vocoder_vocos import VocosVocoder
from .state_dict import add_once, build_model, shape_of


# (magnitude, direction) of a normalised weight, in the notations of torch.nn.utils.weight_norm and of
# torch.nn.utils.parametrizations.weight_norm.
_WEIGHT_NORM_SUFFIXES = [
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
]

# Name of a module or parameter of the original Vocos -> its name in [`VocosVocoder`].
_VOCOS_NAMES = {
    r"^backbone\.embed\.": "conv_in.",
    r"^backbone\.norm\.": "norm_in.",
    r"^backbone\.final_layer_norm\.": "norm_out.",
    r"^backbone\.convnext\.(\d+)\.dwconv\.": r"blocks.\1.conv.",
    r"^backbone\.convnext\.(\d+)\.norm\.": r"blocks.\1.norm.",
    r"^backbone\.convnext\.(\d+)\.pwconv([12])\.": r"blocks.\1.linear_\2.",
    r"^backbone\.convnext\.(\d+)\.gamma$": r"blocks.\1.scale",
    r"^head\.out\.": "head.",
}


def _generator(original_state_dict: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of the generator, which training checkpoints keep under the key "generator"."""
    return original_state_dict.get("generator", original_state_dict)


def _multiply_out(generator: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Replace each pair of magnitude and direction by the weight that is applied."""
    weights = dict(generator)
    for magnitude_suffix, direction_suffix in _WEIGHT_NORM_SUFFIXES:
        for key in generator:
            if not key.endswith(magnitude_suffix):
                continue
            prefix = key.removesuffix(magnitude_suffix)
            if prefix + direction_suffix not in generator:
                raise CheckpointError(f"The checkpoint has {key!r} but no matching {prefix + direction_suffix!r}.")
            magnitude, direction = weights.pop(key), weights.pop(prefix + direction_suffix)
            norm = torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True)
            add_once(weights, prefix + "weight", direction * (magnitude / norm))
    return weights


def _count(state_dict: dict[str, torch.Tensor], pattern: str) -> int:
    """The number of different indices that the group of `pattern` finds in the keys."""
    return len({match[1] for key in state_dict if (match := re.match(pattern, key))})


def map_bigvgan_state_dict(original_state_dict: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Multiply out and rename the tensors of an original state dict, without looking at whether it is complete.

    Args:
        original_state_dict (`dict`): State dict of an original generator, bare or under the key "generator".

    Returns:
        `dict[str, torch.Tensor]`: State dict for [`BigVGANVocoder`].

    Raises:
        CheckpointError: When the stored low-pass filters are not the published ones, which [`BigVGANVocoder`]
            computes, a magnitude has no direction, or two keys become one.
    """
    weights = _multiply_out(_generator(original_state_dict))
    num_kernels = max(1, _count(weights, r"resblocks\.(\d+)\.") // max(1, _count(weights, r"ups\.(\d+)\.")))
    state_dict = {}
    for original_key, tensor in weights.items():
        if original_key.endswith(".filter"):
            taps = tensor.flatten().float()
            if taps.shape != (FILTER_TAPS,) or not torch.allclose(taps, lowpass_filter(), atol=1e-6):
                raise CheckpointError(
                    f"The low-pass filter {original_key!r} of the checkpoint is not the published one of "
                    f"{FILTER_TAPS} taps; this vocoder has other activations than BigVGANVocoder."
                )
            continue
        key = re.sub(r"^ups\.(\d+)\.0\.", r"stages.\1.upsampler.", original_key)
        key = re.sub(
            r"^resblocks\.(\d+)\.", lambda m: "stages.{}.resblocks.{}.".format(*divmod(int(m[1]), num_kernels)), key
        )
        # Even activations stand before the dilated convolutions, odd ones before the plain ones.
        key = re.sub(r"\.activations\.(\d+)\.", lambda m: f".activations{int(m[1]) % 2 + 1}.{int(m[1]) // 2}.", key)
        add_once(state_dict, key.replace(".act.", "."), tensor)
    return state_dict


def infer_bigvgan_config(original_state_dict: dict[str, Any]) -> dict[str, Any]:
    """Read the configuration of [`BigVGANVocoder`] off the shapes of an original state dict.

    Args:
        original_state_dict (`dict`): State dict of an original generator, bare or under the key "generator".

    Returns:
        `dict[str, Any]`: Arguments of [`BigVGANVocoder`]. What shapes do not tell is taken to be as in every published
        network: upsampling factors are half the kernel size, dilations are 1, 3, 5, and tanh is used exactly where the
        last convolution has a bias.

    Raises:
        CheckpointError: When the state dict is not that of a BigVGAN generator.
    """
    generator = _generator(original_state_dict)

    def weight_shape(module: str) -> torch.Size:
        for suffix in ("weight", *(direction_suffix for _, direction_suffix in _WEIGHT_NORM_SUFFIXES)):
            if f"{module}.{suffix}" in generator:
                return shape_of(generator, f"{module}.{suffix}", 3, "a BigVGAN generator")
        raise CheckpointError(f"Not a checkpoint of a BigVGAN generator: it has no weight of {module!r}.")

    initial_channel, num_mels, _ = weight_shape("conv_pre")
    weight_shape("ups.0.0"), weight_shape("resblocks.0.convs1.0")
    num_upsamples = _count(generator, r"ups\.(\d+)\.")
    num_kernels = _count(generator, r"resblocks\.(\d+)\.") // num_upsamples
    kernel_sizes = [weight_shape(f"ups.{i}.0")[2] for i in range(num_upsamples)]
    num_dilations = _count(generator, r"resblocks\.0\.convs1\.(\d+)\.")
    has_final_bias = "conv_post.bias" in generator
    return {
        "num_mels": num_mels,
        "upsample_initial_channel": initial_channel,
        "upsample_rates": [size // 2 for size in kernel_sizes],
        "upsample_kernel_sizes": kernel_sizes,
        "resblock_kernel_sizes": [weight_shape(f"resblocks.{i}.convs1.0")[2] for i in range(num_kernels)],
        "resblock_dilation_sizes": [[1 + 2 * i for i in range(num_dilations)] for _ in range(num_kernels)],
        "use_tanh_at_final": has_final_bias,
        "use_bias_at_final": has_final_bias,
    }


def convert_bigvgan(original_state_dict: dict[str, Any], **config: Any) -> BigVGANVocoder:
    """Build [`BigVGANVocoder`] from an original state dict of the first or second version.

    Args:
        original_state_dict (`dict`): State dict of an original generator, bare or under the key "generator"; weights
            normalised (`weight_g` and `weight_v`, or `parametrizations.weight.original0` and `1`) or multiplied out.
        **config: Arguments of [`BigVGANVocoder`] that override what the shapes tell.

    Returns:
        [`BigVGANVocoder`] in evaluation mode, with the dtype of the state dict.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape, or the activations have another filter.
    """
    config = infer_bigvgan_config(original_state_dict) | config
    return build_model(lambda: BigVGANVocoder.from_config(config), map_bigvgan_state_dict(original_state_dict))


def map_vocos_state_dict(original_state_dict: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Rename the tensors of an original state dict, without looking at whether it is complete.

    Args:
        original_state_dict (`dict`): State dict of an original Vocos network for mel spectrograms.

    Returns:
        `dict[str, torch.Tensor]`: State dict for [`VocosVocoder`], without what makes mel spectrograms of waveforms
        and without the window, which [`VocosVocoder`] computes.

    Raises:
        CheckpointError: When the stored window is not a periodic Hann window, or two keys become one.
    """
    state_dict = {}
    for original_key, tensor in original_state_dict.items():
        if original_key.startswith("feature_extractor."):
            continue
        if original_key == "head.istft.window":
            window = torch.hann_window(tensor.numel()).to(tensor.dtype)
            if not torch.allclose(tensor, window, rtol=torch.finfo(tensor.dtype).eps, atol=1e-6):
                raise CheckpointError(
                    f"The window {original_key!r} of the checkpoint is not the periodic Hann window that VocosVocoder "
                    "computes; this vocoder has another inverse Fourier transform."
                )
            continue
        key = original_key
        for pattern, name in _VOCOS_NAMES.items():
            key = re.sub(pattern, name, key)
        add_once(state_dict, key, tensor)
    return state_dict


def infer_vocos_config(original_state_dict: dict[str, Any]) -> dict[str, Any]:
    """Read the configuration of [`VocosVocoder`] off the shapes of an original state dict.

    Args:
        original_state_dict (`dict`): State dict of an original Vocos network for mel spectrograms.

    Returns:
        `dict[str, Any]`: Arguments of [`VocosVocoder`]. What shapes do not tell is taken to be as in the published
        24 kHz network: the hop length is a quarter of the Fourier transform, and frames are centred.

    Raises:
        CheckpointError: When the state dict is not that of a Vocos network.
    """
    network = "a Vocos network for mel spectrograms"
    hidden_size, num_mels, _ = shape_of(original_state_dict, "backbone.embed.weight", 3, network)
    intermediate_size, _ = shape_of(original_state_dict, "backbone.convnext.0.pwconv1.weight", 2, network)
    n_fft = shape_of(original_state_dict, "head.out.weight", 2, network)[0] - 2
    return {
        "num_mels": num_mels,
        "hidden_size": hidden_size,
        "intermediate_size": intermediate_size,
        "num_layers": _count(original_state_dict, r"backbone\.convnext\.(\d+)\."),
        "n_fft": n_fft,
        "hop_length": n_fft // 4,
        "padding": "center",
        "sampling_rate": 24_000,
    }


def convert_vocos(original_state_dict: dict[str, Any], **config: Any) -> VocosVocoder:
    """Build [`VocosVocoder`] from an original state dict.

    Args:
        original_state_dict (`dict`): State dict of an original Vocos network for mel spectrograms.
        **config: Arguments of [`VocosVocoder`] that override what the shapes tell.

    Returns:
        [`VocosVocoder`] in evaluation mode, with the dtype of the state dict.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape, or the window is another one.
    """
    config = infer_vocos_config(original_state_dict) | config
    return build_model(lambda: VocosVocoder.from_config(config), map_vocos_state_dict(original_state_dict))
