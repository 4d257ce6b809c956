# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Write full-size checkpoints with random weights in the file formats in which MMAudio, F5-TTS and DeepAudio-V1, with
the networks beside them, are published.

For comparing this package with the original code where the published weights cannot be had or may not be used: both
sides read the same files, `deepaudio convert` for ours and the original's own loaders for the original.

    python benchmarks/reference_weights.py --reference ~/MMAudio --output weights [--variant small_16k] [--seed 0]
    python benchmarks/reference_weights.py --reference ~/MMAudio --shapes reference_state_dicts.json
    python benchmarks/reference_weights.py --reference F5-TTS --vocos vocos --output weights --variant F5TTS_v1_Base

The second form writes no weights, only the keys and shapes of the five published networks; the fixture of that name
in tests/fixtures/mmaudio was made so.

Needs a checkout of https://github.com/hkchengrex/MMAudio (MIT), or of https://github.com/SWivid/F5-TTS (MIT) and
https://github.com/gemelo-ai/vocos (MIT), and the packages that they import (see README.md here).
"""

import argparse
import gzip
import json
import math
import shutil
from pathlib import Path

import f5tts_original
import mmaudio_original
import torch
import yaml
from safetensors.torch import save_file
from torch import nn


VARIANTS = ("small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2")
# The file of each speech network, as it is published.
SPEECH_FILES = {"F5TTS_v1_Base": "F5TTS_v1_Base/model_1250000.safetensors", "v2c_s16": "v2c_s16.pt"}
# config.yaml of charactr/vocos-mel-24khz (MIT).
VOCOS_CONFIG = {
    "feature_extractor": {
        "class_path": "vocos.feature_extractors.MelSpectrogramFeatures",
        "init_args": {"sample_rate": 24000, "n_fft": 1024, "hop_length": 256, "n_mels": 100, "padding": "center"},
    },
    "backbone": {
        "class_path": "vocos.models.VocosBackbone",
        "init_args": {"input_channels": 100, "dim": 512, "intermediate_dim": 1536, "num_layers": 8},
    },
    "head": {
        "class_path": "vocos.heads.ISTFTHead",
        "init_args": {"dim": 512, "n_fft": 1024, "hop_length": 256, "padding": "center"},
    },
}

# Hyper-parameters of nvidia/bigvgan_v2_44khz_128band_512x (MIT) as its config.json gives them, as far as the network
# reads them.
BIGVGAN_V2_CONFIG = {
    "resblock": "1",
    "upsample_rates": [8, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [16, 8, 4, 4, 4, 4],
    "upsample_initial_channel": 1536,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
    "activation": "snakebeta",
    "snake_logscale": True,
    "num_mels": 128,
    "sampling_rate": 44100,
    "n_fft": 2048,
    "hop_size": 512,
    "win_size": 2048,
    "fmin": 0,
    "fmax": None,
}


@torch.no_grad()
def perturb_constants(model: nn.Module, std: float = 0.02) -> None:
    """Add noise to every parameter that is one constant, so that no bias, norm or zero-initialised layer is inert."""
    for parameter in model.parameters():
        if parameter.numel() > 1 and (parameter == parameter.flatten()[0]).all():
            parameter.add_(torch.randn_like(parameter), alpha=std)


@torch.no_grad()
def network_state_dict(variant: str) -> dict[str, torch.Tensor]:
    """The flow network. Its velocity is of order one, as it would be after training."""
    from mmaudio.model.networks import get_my_mmaudio

    network = get_my_mmaudio(variant)
    perturb_constants(network)
    network.latent_mean.normal_(std=0.2)
    network.latent_std.uniform_(0.7, 1.3)
    fan_in = network.final_layer.conv.weight[0].numel()
    network.final_layer.conv.weight.normal_(std=1 / math.sqrt(fan_in))
    # CLIP features have unit length (per token for text), Synchformer features are of order one.
    for null in (network.empty_clip_feat, network.empty_string_feat):
        null.copy_(nn.functional.normalize(torch.randn_like(null), dim=-1))
    network.empty_sync_feat.normal_()
    return network.state_dict()


@torch.no_grad()
def vae_state_dict(mode: str) -> dict[str, torch.Tensor]:
    """The VAE as published: before the magnitude-preserving normalisation of its weights."""
    from mmaudio.ext.autoencoder.vae import get_my_vae

    vae = get_my_vae(mode)
    vae.encoder.learnable_gain.fill_(0.1)
    vae.decoder.learnable_gain.fill_(-0.1)
    return vae.state_dict()


@torch.no_grad()
def tame_vocoder(vocoder: nn.Module) -> None:
    """Choose the weight-norm gains such that each stage keeps a magnitude of two or so and the wave one of 0.2."""
    perturb_constants(vocoder)
    for name, gain in vocoder.named_parameters():
        if not name.endswith(".parametrizations.weight.original0"):
            continue
        conv = vocoder.get_submodule(name.removesuffix(".parametrizations.weight.original0"))
        if isinstance(conv, nn.ConvTranspose1d):
            # Here the norm is taken per input channel, and each output sample sees kernel / stride taps.
            gain.fill_(math.sqrt(conv.out_channels * conv.stride[0] / conv.in_channels))
        else:
            gain.fill_(0.3 if ".convs2." in name else 0.05 if name.startswith("conv_post.") else 1.0)


def bigvgan_16k_state_dict() -> dict[str, torch.Tensor]:
    from mmaudio.ext.bigvgan import bigvgan
    from omegaconf import OmegaConf

    vocoder = bigvgan.BigVGANVocoder(OmegaConf.load(Path(bigvgan.__file__).with_name("bigvgan_vocoder.yml")))
    tame_vocoder(vocoder)
    return vocoder.state_dict()


def bigvgan_44k_state_dict() -> dict[str, torch.Tensor]:
    from mmaudio.ext.bigvgan_v2.bigvgan import BigVGAN
    from mmaudio.ext.bigvgan_v2.env import AttrDict

    vocoder = BigVGAN(AttrDict(BIGVGAN_V2_CONFIG))
    tame_vocoder(vocoder)
    return vocoder.state_dict()


def synchformer_state_dict() -> dict[str, torch.Tensor]:
    """The video half under its prefix, and two layers of the rest of Synchformer, which a reader has to leave out."""
    from mmaudio.ext.synchformer import Synchformer

    model = Synchformer()
    perturb_constants(model)
    rest = nn.ModuleDict({"vproj": nn.Linear(768, 768), "aproj": nn.Linear(768, 768)})
    return {**model.state_dict(), **rest.state_dict()}


def clip_state_dict() -> dict[str, torch.Tensor]:
    import open_clip

    model = open_clip.create_model(mmaudio_original.CLIP_ARCHITECTURE)
    perturb_constants(model)
    return model.state_dict()


def write_clip_tokenizer(folder: Path) -> None:
    """Write open_clip's byte-pair table as the vocab.json and merges.txt that accompany the weights on the Hub."""
    import open_clip

    table = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    tokenizer = open_clip.get_tokenizer(mmaudio_original.CLIP_ARCHITECTURE)
    vocabulary = tokenizer.encoder
    num_merges = len(vocabulary) - 2 * 256 - 2
    merges = gzip.decompress(table.read_bytes()).decode("utf-8").split("\n")[1 : 1 + num_merges]
    # open_clip spells the two special tokens <start_of_text> and <end_of_text>, transformers as below; the ids agree.
    renamed = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {renamed.get(token, token): index for token, index in vocabulary.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")


def write_weights(output: Path, variant: str, seed: int) -> None:
    """Write all files of `variant` into the folder `output`; the same seed gives the same files."""
    mode = variant.split("_")[1]
    files = {
        f"mmaudio_{variant}.pth": lambda: network_state_dict(variant),
        f"v1-{mode[:2]}.pth": lambda: vae_state_dict(mode),
        "synchformer_state_dict.pth": synchformer_state_dict,
        "open_clip_pytorch_model.bin": clip_state_dict,
    }
    if mode == "16k":
        files["best_netG.pt"] = lambda: {"generator": bigvgan_16k_state_dict()}
    else:
        files["bigvgan_generator.pt"] = lambda: {"generator": bigvgan_44k_state_dict()}

    output.mkdir(parents=True, exist_ok=True)
    for name, make in files.items():
        # Seeded per file, so that the encoders are the same for every variant.
        torch.manual_seed(seed)
        torch.save(make(), output / name)
        print(f"{name}: {(output / name).stat().st_size / 2**20:.0f} MiB")
    if mode == "44k":
        (output / "config.json").write_text(json.dumps(BIGVGAN_V2_CONFIG, indent=2) + "\n", encoding="utf-8")
    write_clip_tokenizer(output)


@torch.no_grad()
def speech_state_dict(variant: str) -> dict[str, torch.Tensor]:
    """F5-TTS, or DeepAudio-V1's network, which has one layer more. Its mel spectrograms have the level of speech."""
    from f5_tts.model import DiT

    network = DiT(**f5tts_original.ARCHITECTURE, text_num_embeds=2545, mel_dim=100)
    perturb_constants(network, std=0.1)
    # Trained networks change slowly with time. Random weights on the fast sinusoids would not, and no solver could
    # follow them: the sinusoids (sines first, then cosines) have 1000 to 0.1 radians over the whole time.
    first, _, second = network.time_embed.time_mlp
    radians = 1000 * torch.logspace(0, -4, first.in_features // 2).repeat(2)
    first.weight.mul_((4 / radians).clamp(max=1))
    second.weight.normal_(std=0.15)
    for name, module in network.named_modules():
        if name.endswith(("attn_norm.linear", "norm_out.linear")):
            # Shifts, scales and gates of 0.3 or so.
            module.weight.normal_(std=0.5 / math.sqrt(module.in_features))
        elif name.endswith((".to_q", ".to_k")):
            module.weight.mul_(2)
    network.proj_out.weight.normal_(std=1 / math.sqrt(network.dim))
    network.proj_out.bias.copy_(torch.linspace(-2, -6, len(network.proj_out.bias)))
    state_dict = network.state_dict()
    if variant.startswith("v2c"):
        energy = nn.Linear(1, network.dim)
        state_dict |= {f"input_embed.proj_energy.{key}": value for key, value in energy.state_dict().items()}
    return {f"ema_model.transformer.{key}": value for key, value in state_dict.items()}


@torch.no_grad()
def vocos_state_dict(config: Path) -> dict[str, torch.Tensor]:
    """Vocos, with magnitudes of order one and phases all around."""
    from vocos import Vocos

    vocoder = Vocos.from_hparams(str(config))
    perturb_constants(vocoder)
    vocoder.head.out.weight[len(vocoder.head.out.weight) // 2 :].mul_(5)
    return vocoder.state_dict()


def write_speech_weights(output: Path, checkout: Path, variant: str, seed: int) -> None:
    """Write the network `variant`, Vocos and the vocabulary into the folder `output`; a seed gives the same files."""
    network = output / SPEECH_FILES[variant]
    network.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    state_dict = speech_state_dict(variant)
    counters = {"initted": torch.tensor(True), "step": torch.tensor(0)}
    if network.suffix == ".safetensors":
        save_file(state_dict | counters, network)
    else:
        torch.save({"ema_model_state_dict": state_dict | counters}, network)
    (output / "config.yaml").write_text(yaml.safe_dump(VOCOS_CONFIG), encoding="utf-8")
    torch.manual_seed(seed)
    torch.save(vocos_state_dict(output / "config.yaml"), output / "pytorch_model.bin")
    shutil.copyfile(checkout / "src/f5_tts/infer/examples/vocab.txt", output / "vocab.txt")
    for path in (network, output / "pytorch_model.bin"):
        print(f"{path.name}: {path.stat().st_size / 2**20:.0f} MiB")


def write_shapes(path: Path) -> None:
    """Write {variant: {key: shape}} of the five networks as JSON, one variant a line."""
    from mmaudio.model.networks import get_my_mmaudio

    lines = []
    for variant in VARIANTS:
        with torch.device("meta"):
            network = get_my_mmaudio(variant)
        shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
        lines.append(f"{json.dumps(variant)}: {json.dumps(shapes, separators=(',', ':'))}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="checkout of the original repository")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--output", type=Path, help="folder for the checkpoints")
    target.add_argument("--shapes", type=Path, help="write only keys and shapes of all variants to this JSON file")
    parser.add_argument("--variant", choices=[*VARIANTS, *SPEECH_FILES], default="small_16k")
    parser.add_argument("--vocos", type=Path, help="checkout of Vocos, which the variants of F5-TTS need")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    if arguments.variant in SPEECH_FILES and not (arguments.vocos and arguments.output):
        parser.error(f"--variant {arguments.variant} needs --vocos and --output")
    if arguments.variant in SPEECH_FILES:
        f5tts_original.add_to_path(arguments.reference, arguments.vocos)
        write_speech_weights(arguments.output, arguments.reference, arguments.variant, arguments.seed)
        return
    mmaudio_original.add_to_path(arguments.reference)
    if arguments.shapes:
        write_shapes(arguments.shapes)
    else:
        write_weights(arguments.output, arguments.variant, arguments.seed)


if __name__ == "__main__":
    main()
