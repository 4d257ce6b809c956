# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The original Synchformer, as https://github.com/hkchengrex/av-benchmark (MIT) scores with it, beside ours.

    python benchmarks/synchformer_original.py --reference ~/av-benchmark
    python benchmarks/synchformer_original.py --reference ~/av-benchmark --size published
    python benchmarks/synchformer_original.py --reference ~/av-benchmark --record tests/fixtures/synchformer

Both sides get the same seeded random weights and inputs, and the largest differences of their outputs are printed,
relative to the largest output. `--record` keeps weights, inputs and outputs of the tiny original as a fixture of the
tests. At the published size one segment of each kind is encoded, and features are drawn at random for the comparison:
the encoders do not see more than one segment at a time.

The original's code runs unchanged, but for sizes that it states as numbers. It needs einops and omegaconf. Stand-ins
take the places of two helpers of transformers that later releases do not have, and of two of timm, which needs
torchvision.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from deepaudio_diffusers.conversion.synchformer_whole import convert_whole_synchformer
from deepaudio_diffusers.processing.audio import synchformer_mel


# Heads differ between encoders and comparison, so that mixed-up ones show.
TINY = {"width": 16, "layers": 2, "heads": 4, "sync_layers": 2, "sync_heads": 2}
PUBLISHED = {"width": 768, "layers": 12, "heads": 12, "sync_layers": 3, "sync_heads": 8}
NUM_PLACES, NUM_OFFSETS, NUM_SEGMENTS = 198, 21, 14
SEGMENT_FRAMES = 16


def add_to_path(checkout: Path) -> None:
    """Make `import av_bench` find the checkout, and the helpers that it imports from elsewhere."""
    if not (checkout / "av_bench" / "synchformer" / "synchformer.py").is_file():
        raise SystemExit(f"`--reference` {checkout.name}: no av_bench/synchformer there; pass a checkout of it.")
    sys.path.insert(0, str(checkout.resolve()))
    from transformers import PreTrainedModel, pytorch_utils

    pytorch_utils.find_pruneable_heads_and_indices = None
    # Asked for masks of heads, of which there are none.
    PreTrainedModel.get_head_mask = lambda self, mask, num_layers: [None] * num_layers
    layers = ModuleType("timm.layers")
    layers.trunc_normal_ = nn.init.trunc_normal_
    layers.to_2tuple = lambda size: (size, size)
    sys.modules |= {"timm": ModuleType("timm"), "timm.layers": layers}


def make_original(width: int, layers: int, heads: int, sync_layers: int, sync_heads: int, seed: int) -> nn.Module:
    """The original network with seeded random weights, in which nothing is zero or one."""
    from av_bench.synchformer import ast, motionformer, synchformer, transformer

    load = motionformer.OmegaConf.load

    def load_resized(path: Path) -> object:
        config = load(path)
        config.VIT.EMBED_DIM, config.VIT.DEPTH, config.VIT.NUM_HEADS = width, layers, heads
        return config

    motionformer.OmegaConf.load = load_resized
    ast.ASTConfig = partial(
        ast.ASTConfig,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
    )

    class Resized(synchformer.Synchformer):
        """Its parts in another size; what they compute is inherited."""

        def __init__(self) -> None:
            nn.Module.__init__(self)
            self.vfeat_extractor = motionformer.MotionFormer(
                extract_features=True,
                factorize_space_time=True,
                agg_space_module="TransformerEncoderLayer",
                agg_time_module="torch.nn.Identity",
                add_global_repr=False,
            )
            self.afeat_extractor = ast.AST(
                extract_features=True,
                max_spec_t=66,
                factorize_freq_time=True,
                agg_freq_module="TransformerEncoderLayer",
                agg_time_module="torch.nn.Identity",
                add_global_repr=False,
            )
            self.vproj, self.aproj = nn.Linear(width, width), nn.Linear(width, width)
            self.transformer = transformer.GlobalTransformer(0.0, 0.1, 0.1, 0.1, sync_layers, sync_heads, width)
            self.transformer.pos_emb_cfg = transformer.RandInitPositionalEncoding([NUM_PLACES], width)
            self.transformer.off_head = nn.Linear(width, NUM_OFFSETS)

    torch.manual_seed(seed)
    network = synchformer.Synchformer() if width == PUBLISHED["width"] else Resized()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
            # So that a fixture can keep them in half precision.
            parameter.copy_(parameter.half())
    return network.eval()


def example_frames(num_segments: int) -> torch.Tensor:
    """Segments of frames `(1, num_segments, 16, 3, 224, 224)`, given by a formula and different in each."""
    sizes = (8 * (num_segments + 1), 3, 224, 224)
    t, c, h, w = torch.meshgrid(*(torch.arange(size) for size in sizes), indexing="ij")
    values = (131 * t + 17 * c + 7 * h + 13 * w + 5 * ((h * w) % 11) + (t * h) % 23) % 256
    frames = (values.float() / 255 - 0.5) / 0.5
    return frames.unfold(0, SEGMENT_FRAMES, 8).permute(0, 4, 1, 2, 3)[None]


def example_waveform(num_segments: int) -> torch.Tensor:
    """A noise of `num_segments` segments, `(1, num_samples)`, given by a formula."""
    n = torch.arange(5120 * (num_segments + 1))
    return (((n * (n % 977) + 31 * n) % 2003).float() / 4006 - 0.25)[None]


def original_mel(waveform: torch.Tensor) -> torch.Tensor:
    """What the original's encoder of sound is given for a waveform, `(1, num_segments, 1, 128, 66)`; its own function
    imports networks that have nothing to do with this."""
    import torchaudio

    starts = range(0, waveform.shape[1] - 10_239, 5120)
    segments = torch.stack([waveform[:, start : start + 10_240] for start in starts], 1)
    mel = torchaudio.transforms.MelSpectrogram(16_000, n_fft=1024, win_length=400, hop_length=160, n_mels=128)
    log_mel = nn.functional.pad(torch.log(mel(segments) + 1e-6), (0, 1))
    return ((log_mel + 4.2677393) / (2 * 4.5689974)).unsqueeze(2)


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="checkout of av-benchmark")
    parser.add_argument("--size", choices=("tiny", "published"), default="tiny")
    parser.add_argument("--record", type=Path, help="folder for the fixture of the tests, which is tiny")
    options = parser.parse_args()
    add_to_path(options.reference)
    sizes = TINY if options.size == "tiny" else PUBLISHED
    original = make_original(**sizes, seed=0)
    ours = convert_whole_synchformer(
        original.state_dict(), num_attention_heads=sizes["heads"], num_sync_heads=sizes["sync_heads"]
    )
    print(f"{sum(parameter.numel() for parameter in ours.parameters()):,} parameters")

    num_segments = NUM_SEGMENTS if options.size == "tiny" else 1
    frames, waveform = example_frames(num_segments), example_waveform(num_segments)
    mel = original_mel(waveform)
    video, audio = original.extract_vfeats(frames), original.extract_afeats(mel)
    our_mel = synchformer_mel(waveform)
    print(f"mel: {relative(our_mel, mel[:, :, 0].transpose(2, 3)):.1e}")
    print(f"features of pictures: {relative(ours.encode_video(frames), video):.1e}")
    print(f"features of sound: {relative(ours.encode_audio(our_mel), audio):.1e}")
    if options.size == "published":
        generator = torch.Generator().manual_seed(4)
        video, audio = (torch.randn(2, 14, steps, 768, generator=generator) for steps in (8, 6))
    logits = original.compare_v_a(video, audio)
    print(f"logits: {relative(ours.compare(video, audio), logits):.1e}")
    if options.record is not None:
        from safetensors.torch import save_file

        weights = {f"w.{key}": tensor.half() for key, tensor in original.state_dict().items()}
        outputs = {"out.video_features": video, "out.audio_features": audio, "out.logits": logits}
        options.record.mkdir(parents=True, exist_ok=True)
        save_file(
            weights | {name: tensor.contiguous() for name, tensor in outputs.items()},
            options.record / "whole_tiny.safetensors",
        )


if __name__ == "__main__":
    main()
