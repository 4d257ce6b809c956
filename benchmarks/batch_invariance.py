# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How much an item changes with the company it keeps: the same seed alone and in a batch.

The network has the size of `small_16k` and seeded random weights. Compared are one velocity and the latents of a whole
guided run of 25 steps, alone and as each item of a batch of three.

    python benchmarks/batch_invariance.py --output invariance.json
"""

import argparse
import json
from pathlib import Path

import torch

from deepaudio_diffusers import FlowMatchGridEulerScheduler, MMAudioTransformer1DModel
from deepaudio_diffusers.models.transformer_mmaudio import MMAudioConditions
from deepaudio_diffusers.schedulers import flow_time, model_output_from_velocity


BATCH_SIZE = 3
NUM_LATENTS, NUM_CLIP_TOKENS, NUM_SYNC_TOKENS = 250, 64, 192
GUIDANCE_SCALE = 4.5


def random_network() -> MMAudioTransformer1DModel:
    """`small_16k` with weights of a size that lets every layer matter, those that training starts from zero too."""
    torch.manual_seed(0)
    model = MMAudioTransformer1DModel(
        latent_channels=20,
        hidden_size=448,
        num_attention_heads=7,
        num_layers=4,
        num_single_layers=8,
        conv_activation="selu",
        linear_activation=None,
        time_embed_channels=256,
        time_max_period=10000,
        latents_per_second=31.25,
    )
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return model.eval().requires_grad_(False)


def random_items() -> dict[str, torch.Tensor]:
    """Noise and features of `BATCH_SIZE` clips of 8 s."""
    generator = torch.Generator().manual_seed(1)
    shapes = {
        "noise": (NUM_LATENTS, 20),
        "clip": (NUM_CLIP_TOKENS, 1024),
        "sync": (NUM_SYNC_TOKENS, 768),
        "text": (77, 1024),
    }
    items = {name: torch.randn(BATCH_SIZE, *shape, generator=generator) for name, shape in shapes.items()}
    for name in ("clip", "text"):
        items[name] = torch.nn.functional.normalize(items[name], dim=-1)
    return items


def run(
    model: MMAudioTransformer1DModel, items: dict[str, torch.Tensor], num_steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first velocity and the final latents of a guided run."""
    lengths = (NUM_CLIP_TOKENS, NUM_SYNC_TOKENS)
    conditions = model.encode_conditions(items["clip"], items["sync"], items["text"], *lengths)
    latents = items["noise"]
    null_conditions = model.encode_conditions(None, None, None, *lengths).expand(len(latents))
    both = MMAudioConditions.cat([null_conditions, conditions])
    scheduler = FlowMatchGridEulerScheduler()
    scheduler.set_timesteps(num_steps)
    velocities = []
    for timestep in scheduler.timesteps:
        time = flow_time(timestep, 1000).expand(len(latents))
        null_velocity, velocity = model(latents, time, conditions=both).sample.chunk(2)
        velocities.append(null_velocity + GUIDANCE_SCALE * (velocity - null_velocity))
        latents = scheduler.step(model_output_from_velocity(velocities[-1]), timestep, latents).prev_sample
    return velocities[0], latents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-inference-steps", type=int, default=25, help="steps of the run (default: 25)")
    parser.add_argument("--output", type=Path, help="where to write the figures as JSON")
    args = parser.parse_args()

    model, items = random_network(), random_items()
    together = run(model, items, args.num_inference_steps)
    report = {"num_threads": torch.get_num_threads(), "torch": torch.__version__, "items": []}
    for i in range(BATCH_SIZE):
        alone = run(model, {name: tensor[i : i + 1] for name, tensor in items.items()}, args.num_inference_steps)
        differences = {
            name: ((a - b[i : i + 1]).abs().max() / a.abs().max()).item()
            for name, a, b in zip(("velocity", "latents"), alone, together, strict=True)
        }
        print(f"item {i}: largest relative difference {differences}")
        report["items"].append(differences)
    if args.output:
        args.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
