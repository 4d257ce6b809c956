# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Time every stage of video-to-audio and measure its memory, beside the original MMAudio where that is at hand.

    python benchmarks/video_to_audio.py --pipeline FOLDER --video CLIP.mp4 --clip-length-in-s 1
    python benchmarks/video_to_audio.py --pipeline FOLDER --video CLIP.mp4 --clip-length-in-s 1 \
        --reference ~/MMAudio --reference-weights WEIGHTS

Each side runs in a process of its own with the same environment, one at a time and in turns, so that both meet the
same machine and the peak memory of each is its own. With `--reference`, both sides get the original's output of the
stage before as their input, and the difference of their outputs is shown beside the ratio of their times. See
README.md.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np


ENCODERS = ("clip_image", "synchformer")
# `again` is a second generation for the same clip with another seed; the original has to do `whole` for that.
STAGES = ("decode", *ENCODERS, "clip_text", "denoising", "vae", "vocoder", "whole", "again")
OURS, ORIGINAL = "deepaudio", "original"


class Worker:
    """One side of the comparison, living in a process of its own.

    `run` blocks, so only one side works at a time.
    """

    def __init__(self, side: str, arguments: argparse.Namespace):
        # A fresh interpreter: a forked one would start with the memory of this one.
        context = multiprocessing.get_context("spawn")
        self.connection, there = context.Pipe()
        self.side = side
        self.process = context.Process(target=_serve, args=(there, side, arguments), daemon=True)
        self.process.start()
        there.close()
        self.load = self.run("load_usage")

    def run(self, command: str, **options: Any) -> Any:
        try:
            self.connection.send((command, options))
            return self.connection.recv()
        except (EOFError, ConnectionError):
            raise SystemExit(f"The {self.side} side ended: see its error above, or it ran out of memory.") from None

    def close(self) -> None:
        self.connection.send(("stop", {}))
        self.process.join()


def _serve(connection: Any, side: str, arguments: argparse.Namespace) -> None:
    """The process of one side: answer commands until told to stop."""
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    bench = _Bench(side, arguments)
    while True:
        command, options = connection.recv()
        if command == "stop":
            break
        connection.send(getattr(bench, command)(**options))


class _Bench:
    """Calls the stages of one side and measures them. Arrays come and go as float32 NumPy arrays."""

    def __init__(self, side: str, arguments: argparse.Namespace):
        self.arguments = arguments

        def load() -> Any:
            if side == OURS:
                from deepaudio_stages import DeepAudio

                return DeepAudio(arguments.pipeline, arguments.device, arguments.dtype)
            from mmaudio_original import OriginalMMAudio

            return OriginalMMAudio(
                arguments.reference, arguments.reference_weights, arguments.variant, arguments.device, arguments.dtype
            )

        self.model, self._load_usage = self._measure(load)
        self.streams: list[Any] = []

    def load_usage(self) -> dict[str, float]:
        """What loading the networks cost."""
        return self._load_usage

    def set_up(self, seconds: float, batch_size: int, with_video: bool) -> dict[str, tuple[int, ...]]:
        """Fix the length of the clips, by decoding when a stage needs frames; gives the shapes of later stages."""
        if with_video:
            streams = self.model.decode(self.arguments.video, seconds)
            self.streams = [streams] * batch_size
            seconds = self.model.duration(streams)
        self.model.set_length(seconds)
        return self.model.input_shapes(batch_size)

    def stage(self, name: str, seconds: float, batch_size: int, inputs: dict[str, np.ndarray]) -> dict[str, Any]:
        """Run one stage once. Returns what it cost under `usage` and its arrays under `outputs`."""
        import torch

        arguments, model = self.arguments, self.model
        # All different, because equal prompts are encoded once.
        prompts = [arguments.prompt + " again" * item for item in range(batch_size)]
        negative_prompts = [arguments.negative_prompt] * batch_size
        tensors = {key: torch.from_numpy(value).to(model.device, model.dtype) for key, value in inputs.items()}
        sampling = {"steps": arguments.num_inference_steps, "guidance_scale": arguments.guidance_scale}
        calls = {
            "decode": lambda: [model.decode(arguments.video, seconds) for _ in prompts],
            "clip_image": lambda: model.clip_image(self.streams),
            "synchformer": lambda: model.synchformer(self.streams),
            "clip_text": lambda: model.clip_text(prompts, negative_prompts),
            "denoising": lambda: model.denoising(tensors, **sampling),
            "vae": lambda: model.vae(tensors),
            "vocoder": lambda: model.vocoder(tensors),
            "whole": lambda: model.whole(
                arguments.video, seconds, prompts, negative_prompts, seed=arguments.seed, **sampling
            ),
            "again": lambda: model.again(prompts, negative_prompts, seed=arguments.seed + 1, **sampling),
        }
        if name == "whole":
            self.streams = []  # Frames of earlier stages must not count as memory of this one.
        outputs, usage = self._measure(calls[name])
        if name == "decode":
            outputs = model.pixels(outputs[0])
        return {"usage": usage, "outputs": {key: value.float().cpu().numpy() for key, value in outputs.items()}}

    def _measure(self, function: Any) -> tuple[Any, dict[str, float]]:
        import torch

        on_gpu = self.arguments.device.startswith("cuda")
        if on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        _reset_peak_memory()
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        if on_gpu:
            torch.cuda.synchronize()
        usage = {
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.perf_counter() - wall,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        }
        if on_gpu:
            usage["gpu_peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
        return result, usage


def _reset_peak_memory() -> None:
    """Let the peak of this process begin anew. Linux only; elsewhere peaks are those since the start."""
    clear_refs = Path("/proc/self/clear_refs")
    if clear_refs.exists():
        clear_refs.write_text("5")


def random_inputs(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Stand-ins of realistic magnitude for the outputs of stages that are not run."""
    generator = np.random.default_rng(seed)
    inputs = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    for name in ("clip_features", "text_features", "negative_text_features"):
        inputs[name] /= np.linalg.norm(inputs[name], axis=-1, keepdims=True)
    inputs["mel"] -= 2
    return inputs


def compare(ours: dict[str, np.ndarray], original: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Largest difference of each array, absolute and relative to the largest value of the original's."""
    differences = {}
    for name, expected in original.items():
        found = ours[name]
        if name == "audio":
            # The original plays on to the end of the last latent, ours ends where the clip does.
            expected = expected[..., : found.shape[-1]]
        if found.shape != expected.shape:
            raise SystemExit(f"{name}: ours has shape {found.shape}, the original's {expected.shape}.")
        largest = float(np.abs(found - expected).max())
        differences[name] = {"max_abs": largest, "max_relative": largest / float(np.abs(expected).max())}
    return differences


def measure_setting(arguments: argparse.Namespace, seconds: float, batch_size: int) -> dict[str, Any]:
    """All stages for one clip length and batch size, in fresh processes."""
    sides = [ORIGINAL, OURS] if arguments.reference else [OURS]
    workers = {side: Worker(side, arguments) for side in sides}
    result: dict[str, Any] = {"clip_length_in_s": seconds, "batch_size": batch_size, "stages": {}, "peak_mib": {}}
    result["load"] = {side: worker.load for side, worker in workers.items()}

    with_video = bool({*ENCODERS, "again"} & set(arguments.stages))
    shapes = {
        side: worker.run("set_up", seconds=seconds, batch_size=batch_size, with_video=with_video)
        for side, worker in workers.items()
    }
    if len({str(sorted(shape.items())) for shape in shapes.values()}) > 1:
        raise SystemExit(f"The two sides disagree about the shapes for {seconds} s: {shapes}")
    arrays = random_inputs(shapes[sides[0]], arguments.seed)

    for stage in arguments.stages:
        stage_sides = [OURS] if stage == "again" else sides
        usage: dict[str, list[dict[str, float]]] = {side: [] for side in stage_sides}
        outputs: dict[str, dict[str, np.ndarray]] = {}
        for repeat in range(arguments.repeats):
            # In turns, and each side first as often as the other.
            for side in stage_sides if repeat % 2 == 0 else reversed(stage_sides):
                answer = workers[side].run("stage", name=stage, seconds=seconds, batch_size=batch_size, inputs=arrays)
                usage[side].append(answer["usage"])
                outputs[side] = answer["outputs"]
        arrays |= {name: array for name, array in outputs[stage_sides[0]].items() if name in arrays}
        entry: dict[str, Any] = {side: summarise(runs) for side, runs in usage.items()}
        baseline = result["stages"].get("whole", {}).get(ORIGINAL) if stage == "again" else entry.get(ORIGINAL)
        if baseline:
            entry["ratio"] = {key: entry[OURS][key] / baseline[key] for key in ("cpu_s", "wall_s", "peak_mib")}
        if ORIGINAL in outputs:
            entry["difference"] = compare(outputs[OURS], outputs[ORIGINAL])
        result["stages"][stage] = entry
        print(format_stage(stage, entry), flush=True)

    for side, worker in workers.items():
        usages = [worker.load, *(entry[side] for entry in result["stages"].values() if side in entry)]
        result["peak_mib"][side] = max(usage["peak_mib"] for usage in usages)
        print(f"peak of {side}, loading included: {result['peak_mib'][side]:.0f} MiB")
        worker.close()
    return result


def summarise(runs: list[dict[str, float]]) -> dict[str, Any]:
    """The least disturbed run counts for time, the largest peak for memory; `runs` keeps them all."""
    least = {key: min(run[key] for run in runs) for key in ("cpu_s", "wall_s")}
    peaks = {key: max(run[key] for run in runs) for key in runs[0] if key.endswith("peak_mib")}
    return {**least, **peaks, "runs": runs}


def format_stage(stage: str, entry: dict[str, Any]) -> str:
    """One line of the table that is printed while the benchmark runs."""
    line = f"{stage:<12}"
    for side in (ORIGINAL, OURS):
        if side in entry:
            line += f" | {side} {entry[side]['cpu_s']:8.2f} cpu s {entry[side]['wall_s']:8.2f} s"
            line += f" {entry[side]['peak_mib']:7.0f} MiB"
    if "ratio" in entry:
        line += " | ratio " + " ".join(f"{key.split('_')[0]} {value:.3f}" for key, value in entry["ratio"].items())
    for name, difference in entry.get("difference", {}).items():
        line += f" | {name} {difference['max_abs']:.1e} abs {difference['max_relative']:.1e} rel"
    return line


def describe_machine() -> dict[str, Any]:
    """What the numbers depend on."""
    cpu = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        cpu = models[0] if models else cpu
    packages = ("torch", "diffusers", "transformers", "av", "deepaudio-diffusers")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "environment": {
            name: value for name, value in os.environ.items() if name.startswith(("OMP_", "MKL_", "MALLOC_"))
        },
        "load_average": os.getloadavg(),
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", required=True, help="pipeline folder, as `deepaudio convert` writes it")
    parser.add_argument("--video", required=True, help="video file")
    parser.add_argument("--prompt", default="a dog barks loudly")
    parser.add_argument("--negative-prompt", default="")
    parser.add_argument("--clip-length-in-s", type=float, nargs="+", default=[8.0], help="several show the growth")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[1], help="several show the growth")
    parser.add_argument("--num-inference-steps", type=int, default=25)
    parser.add_argument("--guidance-scale", type=float, default=4.5)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, help="default: all")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, help="threads of torch; default: what torch chooses")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--reference", type=Path, help="checkout of the original repository, to run it beside ours")
    parser.add_argument("--reference-weights", type=Path, help="folder with the original's checkpoints")
    parser.add_argument("--variant", default="small_16k", help="the original's name of the variant")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    if arguments.reference and not arguments.reference_weights:
        parser.error("--reference needs --reference-weights, the folder with the original's checkpoints")
    # The order is that of the data, whatever the order of the options.
    arguments.stages = [stage for stage in STAGES if stage in arguments.stages]
    return arguments


def main() -> None:
    arguments = parse_arguments()
    report = {
        "machine": describe_machine(),
        # Names without folders, so that a report says nothing of where it was made.
        "arguments": {
            key: Path(value).name if key in ("pipeline", "video") else value
            for key, value in vars(arguments).items()
            if isinstance(value, int | float | str | list)
        },
        "settings": [],
    }
    for seconds in arguments.clip_length_in_s:
        for batch_size in arguments.batch_size:
            print(f"{seconds} s, batch of {batch_size}, {arguments.num_inference_steps} steps, {arguments.dtype}")
            report["settings"].append(measure_setting(arguments, seconds, batch_size))
    report["machine"]["load_average_after"] = os.getloadavg()
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
