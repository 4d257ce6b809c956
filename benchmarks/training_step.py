# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Time a step of training of stages 1 and 2 beside the originals' trainers, at equal size and batch.

    python benchmarks/training_step.py --stage 1 --reference ~/MMAudio --size full --batch-size 2 --output result.json
    python benchmarks/training_step.py --stage 2 --reference ~/F5-TTS --size full --batch-size 1 --output result.json

A step is all that a batch makes a trainer do: forward pass, backward pass, clipping, AdamW, and the moving average of
the weights. Each side runs in a process of its own, one at a time and in turns, so that both meet the same machine.
Both get the same batch of random numbers, in float32. A report that is there already is added to. See README.md.
"""

import argparse
import importlib.util
import itertools
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from video_to_audio import describe_machine


OURS, ORIGINAL = "deepaudio", "original"
SCRIPTS = {1: "train_stage1_v2a", 2: "train_stage2_tts"}

# Arguments of our networks. `full` is small_16k and F5TTS_v1_Base; `reduced` is what a CPU does in seconds, and
# `shallow` F5TTS_v1_Base with fewer blocks, which needs less memory.
STAGE1_CONFIG = {
    "latent_channels": 20,
    "clip_dim": 1024,
    "sync_dim": 768,
    "text_dim": 1024,
    "text_length": 77,
    "conv_activation": "selu",
    "linear_activation": None,
    "time_embed_channels": 256,
    "time_max_period": 10000,
    "latents_per_second": 16_000 / 512,
}
STAGE2_CONFIG = {"mel_channels": 100, "vocab_size": 2545}
SIZES = {
    1: {
        "reduced": STAGE1_CONFIG
        | {"hidden_size": 256, "num_attention_heads": 4, "num_layers": 2, "num_single_layers": 4},
        "full": STAGE1_CONFIG
        | {"hidden_size": 448, "num_attention_heads": 7, "num_layers": 4, "num_single_layers": 8},
    },
    2: {
        "reduced": STAGE2_CONFIG
        | {"hidden_size": 384, "num_layers": 8, "num_attention_heads": 6, "text_dim": 256, "num_text_layers": 4},
        "shallow": STAGE2_CONFIG
        | {"hidden_size": 1024, "num_layers": 4, "num_attention_heads": 16, "text_dim": 512, "num_text_layers": 4},
        "full": STAGE2_CONFIG
        | {"hidden_size": 1024, "num_layers": 22, "num_attention_heads": 16, "text_dim": 512, "num_text_layers": 4},
    },
}
# Of a clip of 8 s, in the sizes that MMAudio trains with.
STAGE1_LENGTHS = {"latents": 250, "clip": 64, "sync": 192, "text": 77}
# Of utterances of up to 5.3 s; each is somewhat shorter than the next, as in batches by length.
STAGE2_NUM_FRAMES, STAGE2_NUM_TOKENS = 500, 80
STAGE2_SHORTEST = 0.8

_training: Any = None


class Training:
    """Our loop, as the scripts build it; a batch is handed to it in the place of a data set."""

    def __init__(self, stage: int, config: dict[str, Any], averages: bool, seed: int) -> None:
        import torch

        from deepaudio_diffusers import F5TTSTransformer1DModel, MMAudioTransformer1DModel
        from deepaudio_diffusers.training.loop import TrainingLoop, make_accelerator

        script = _load_script(SCRIPTS[stage])
        arguments = ["--data=none", f"--output_dir={tempfile.mkdtemp()}", "--train_batch_size=1", f"--seed={seed}"]
        arguments += ["--components=none"] if stage == 1 else []
        arguments += [] if averages else ["--ema_decay=0"]
        args = script.parse_args(arguments)
        torch.manual_seed(seed)
        network = (MMAudioTransformer1DModel if stage == 1 else F5TTSTransformer1DModel)(**config)
        loss = partial(script.video_to_audio_loss, drop_probability=0.1) if stage == 1 else _infilling_loss
        self.num_parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
        self.loop = TrainingLoop(
            args, make_accelerator(args), {"transformer": network}, loss, [None], lengths=[1], collate=list
        )

    def step(self, batch: dict[str, Any]) -> float:
        """One step of the optimizer; returns the loss."""
        figures = self.loop._train_step(itertools.repeat(batch))
        self.loop.step += 1
        return figures["loss"]


def _infilling_loss(networks: dict[str, Any], batch: dict[str, Any]) -> tuple[Any, dict[str, float]]:
    """That of stage 2 for a batch that is padded already, as the original gets it; the same draws."""
    import torch

    from deepaudio_diffusers.training.infilling import InfillingBatch, draw_gaps, infilling_loss

    infilling = InfillingBatch(
        batch["mel"], batch["text_ids"], None, batch["lengths"], torch.zeros_like(batch["lengths"])
    )
    drop_both, drop_audio = (torch.rand(2) < torch.tensor([0.2, 0.3])).tolist()
    loss = infilling_loss(
        networks["transformer"],
        infilling,
        draw_gaps(infilling),
        drop_audio_cond=drop_audio or drop_both,
        drop_text=drop_both,
    )
    return loss, {}


def _load_script(name: str) -> Any:
    path = Path(__file__).parents[1] / "training_scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(side: str, arguments: argparse.Namespace) -> None:
    """What a process does first: build one side's trainer."""
    import torch

    torch.set_num_threads(arguments.threads)
    config = SIZES[arguments.stage][arguments.size]
    options = {"averages": arguments.average, "seed": arguments.seed}
    global _training
    if side == OURS:
        _training = Training(arguments.stage, config, **options)
    elif arguments.stage == 1:
        from training_originals import OriginalMMAudioTraining

        _training = OriginalMMAudioTraining(arguments.reference, config, STAGE1_LENGTHS, **options)
    else:
        from training_originals import OriginalF5TTSTraining

        _training = OriginalF5TTSTraining(arguments.reference, config, **options)


def make_batch(arguments: argparse.Namespace) -> dict[str, Any]:
    """A batch of random numbers of the sizes and magnitudes of real ones, the same on both sides."""
    import torch

    generator = torch.Generator().manual_seed(arguments.seed)
    size, config = arguments.batch_size, SIZES[arguments.stage][arguments.size]
    normal = partial(torch.randn, generator=generator)
    if arguments.stage == 1:
        latents = size, STAGE1_LENGTHS["latents"], config["latent_channels"]
        return {
            "clip_features": normal(size, STAGE1_LENGTHS["clip"], config["clip_dim"]),
            "sync_features": normal(size, STAGE1_LENGTHS["sync"], config["sync_dim"]),
            "text_features": normal(size, STAGE1_LENGTHS["text"], config["text_dim"]),
            "latent_mean": normal(*latents),
            "latent_std": torch.full(latents, 0.1),
            "has_video": torch.ones(size, dtype=torch.bool),
        }
    lengths = (torch.linspace(1, STAGE2_SHORTEST, size) * STAGE2_NUM_FRAMES).round().long()
    tokens = torch.randint(0, config["vocab_size"], (size, STAGE2_NUM_TOKENS), generator=generator)
    return {
        "mel": normal(size, STAGE2_NUM_FRAMES, config["mel_channels"]) * 2 - 4,
        "text_ids": tokens,
        "lengths": lengths,
    }


def step(arguments: argparse.Namespace) -> dict[str, float]:
    """One step in the process of a side: what it cost."""
    batch = make_batch(arguments)
    wall, cpu = time.perf_counter(), time.process_time()
    loss = _training.step(batch)
    return {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        "loss": loss,
    }


def count_parameters() -> int:
    """Those that are trained, in the process of a side."""
    return _training.num_parameters


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Steps of both sides in turns, and the ratios of their medians."""
    context = multiprocessing.get_context("spawn")
    workers = {
        side: ProcessPoolExecutor(1, mp_context=context, initializer=load, initargs=(side, arguments))
        for side in (ORIGINAL, OURS)
    }
    parameters = {side: worker.submit(count_parameters).result() for side, worker in workers.items()}
    if parameters[OURS] != parameters[ORIGINAL]:
        raise SystemExit(f"The networks differ in size: {parameters}.")
    steps = {side: [] for side in workers}
    for turn in range(-arguments.warmup, arguments.steps):
        # Each side goes first as often as the other.
        for side in [ORIGINAL, OURS] if turn % 2 == 0 else [OURS, ORIGINAL]:
            figures = workers[side].submit(step, arguments).result()
            values = " ".join(f"{name} {value:9.3f}" for name, value in figures.items())
            print(f"step {turn:3} {side:9} {values}", flush=True)
            if turn >= 0:
                steps[side].append(figures)
    for worker in workers.values():
        worker.shutdown()
    medians = {
        side: {name: statistics.median(step[name] for step in figures) for name in ("cpu_s", "wall_s")}
        | {"peak_mib": figures[-1]["peak_mib"]}
        for side, figures in steps.items()
    }
    return {
        "num_parameters": parameters[OURS],
        "medians": medians,
        "ratio": {name: medians[OURS][name] / medians[ORIGINAL][name] for name in medians[OURS]},
        "steps": steps,
        "load_average": os.getloadavg(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", type=int, choices=(1, 2), required=True, help="1: MMAudio, 2: F5-TTS")
    parser.add_argument("--reference", type=Path, required=True, help="checkout of the original")
    parser.add_argument("--size", choices=("reduced", "shallow", "full"), default="reduced", help="of the network")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6, help="steps that count (default: %(default)s)")
    parser.add_argument("--warmup", type=int, default=2, help="steps before them (default: %(default)s)")
    parser.add_argument(
        "--average",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the moving average of the weights belongs to a step",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the results, or to add them to")
    arguments = parser.parse_args()
    sizes = SIZES[arguments.stage]
    if arguments.size not in sizes:
        parser.error(f"stage {arguments.stage} has no `--size {arguments.size}`; it has {', '.join(sizes)}")

    report: dict[str, Any] = {"machine": describe_machine(), "runs": []}
    if arguments.output.exists():
        report = json.loads(arguments.output.read_text(encoding="utf-8"))
    # Names without folders, so that a report says nothing of where it was made.
    settings = {
        key: value.name if isinstance(value, Path) else value
        for key, value in vars(arguments).items()
        if key != "output"
    }
    figures = measure(arguments)
    report["runs"].append({"arguments": settings} | figures)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print("ours / original: " + ", ".join(f"{name} {value:.3f}" for name, value in figures["ratio"].items()))


if __name__ == "__main__":
    main()
