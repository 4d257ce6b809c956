# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What damaged files do to the reader: thousands of small clips in six containers, each with its own seeded damage.

Every case is probed, decoded (pictures and sound) and, one in four, given a new sound track. It has to end in success
or in one of the library's own errors, within ten seconds and 1 GiB, with no file left open. The limits are the strict
ones, for files of strangers. Cases run in a child process that is started anew after a crash, so that one crash costs
one case. The report counts the results and names every failure by its number, with which it can be repeated alone.

Examples:
    python benchmarks/media_fuzz.py --cases 20000 --output benchmarks/results/media_fuzz.json
    python benchmarks/media_fuzz.py --first 1234 --cases 1 --keep damaged.bin
"""

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from deepaudio_diffusers.errors import DeepAudioError
from deepaudio_diffusers.media import Limits, MediaFile, decode_frames, probe, read_audio, write_audio_into_video


MAX_SECONDS = 10
MAX_MIB = 1024
# Name -> codecs of pictures and sound, and whether the index stands first.
CLIPS = {
    "clip.mp4": ("libx264", "aac", {"movflags": "+faststart"}),
    "clip.mov": ("mpeg4", "pcm_s16le", {}),
    "clip.mkv": ("libx264", "libopus", {}),
    "clip.webm": ("libvpx-vp9", "libopus", {}),
    "clip.avi": ("mpeg4", "libmp3lame", {}),
    "clip.ts": ("libx264", "aac", {}),
}
NUM_FRAMES, RATE = 36, 24


def write_clip(path: Path, picture_codec: str, sound_codec: str, options: dict[str, str]) -> None:
    """Write 1.5 s of moving noise with a tone, a key frame every half second."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        pictures = container.add_stream(picture_codec, rate=RATE, options={"g": "12"})
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream(sound_codec, rate=48_000, layout="stereo")
        for i in range(NUM_FRAMES):
            picture = rng.integers(0, 64, (64, 96, 3)).astype(np.uint8)
            picture[:, i * 2 : i * 2 + 16] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        times = np.arange(48_000 * NUM_FRAMES // RATE) / 48_000
        samples = np.stack([0.3 * np.sin(2 * np.pi * 440 * times)] * 2).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        resampler = av.AudioResampler(
            sound.format, "stereo", 48_000, frame_size=sound.codec_context.frame_size or 1024
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(part))
        container.mux(sound.encode())


def damage(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Damage `content` in one of several ways; returns the name of the way and the result."""
    data = bytearray(content)
    kind = rng.choice(["flip", "flip", "flip_head", "flip_tail", "cut", "garbage", "zeros", "remove", "repeat"])
    position = rng.randrange(len(data))
    length = rng.randint(1, max(1, len(data) // 8))
    if kind.startswith("flip"):
        # The structure of a file stands at its ends.
        first = max(0, len(data) - 2048) if kind == "flip_tail" else 0
        end = min(2048, len(data)) if kind == "flip_head" else len(data)
        for _ in range(rng.choice([1, 2, 4, 16, 64])):
            data[rng.randrange(first, end)] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[position:]
    elif kind == "garbage":
        data[position : position + length] = rng.randbytes(min(length, len(data) - position))
    elif kind == "zeros":
        data[position : position + length] = bytes(min(length, len(data) - position))
    elif kind == "remove":
        del data[position : position + length]
    else:
        data[position:position] = data[position : position + length]
    return kind, bytes(data)


def damaged_clip(contents: dict[str, bytes], seed: int, case: int) -> tuple[str, str, bytes]:
    """The file of a case: which clip, what was done to it, and the result."""
    rng = random.Random(f"{seed}/{case}")
    name = list(contents)[case % len(contents)]
    kind, data = damage(contents[name], rng)
    return name, kind, data


def read_all(path: Path, data: bytes, case: int, folder: Path) -> list[str]:
    """Do everything with the file of a case; returns how each step ended."""
    # As bytes and as a file in turn: they are read by different code.
    source = MediaFile(data if case % 2 else path, limits=Limits.strict())
    if not case % 2:
        path.write_bytes(data)
    steps = {
        "probe": lambda: probe(source),
        "decode": lambda: [frame.to_rgb() for frame in decode_frames(source)],
        "window": lambda: next(decode_frames(source, start_in_s=1.2), None),
        "sound": lambda: read_audio(source),
    }
    if case % 4 < 2:
        sound = np.full(16_000, 0.1, np.float32)
        output = folder / ("output.mp4" if case % 8 < 4 else "output.mkv")
        steps["write"] = lambda: write_audio_into_video(source, sound, 16_000, output)
    results = []
    for step, do in steps.items():
        try:
            do()
            results.append(f"{step}: success")
        except DeepAudioError as error:
            results.append(f"{step}: {type(error).__name__}")
        except Exception as error:
            results.append(f"{step}: UNTYPED {type(error).__name__}: {error}")
    return results


def work(folder: Path, seed: int, first: int, last: int) -> None:
    """Run cases in this process and print a line of JSON before and after each."""
    # Thousands of warnings about damage.
    logging.disable()
    contents = {name: (folder / name).read_bytes() for name in CLIPS}
    for case in range(first, last):
        name, kind, data = damaged_clip(contents, seed, case)
        print(json.dumps({"begin": case}), flush=True)
        # Begin to measure the peak of the memory anew.
        Path("/proc/self/clear_refs").write_text("5")
        files_before = len(os.listdir("/proc/self/fd"))
        start = time.monotonic()
        results = read_all(folder / f"damaged{Path(name).suffix}", data, case, folder)
        report = {
            "case": case,
            "clip": name,
            "damage": kind,
            "results": results,
            "seconds": round(time.monotonic() - start, 3),
            "files_left_open": len(os.listdir("/proc/self/fd")) - files_before,
            "peak_mib": int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024,
        }
        print(json.dumps(report), flush=True)


def run(seed: int, first: int, num_cases: int) -> dict:
    """Run all cases in child processes and sum up."""
    counts, failures = Counter(), []
    slowest = peak_mib = num_done = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in CLIPS.items():
            write_clip(Path(folder) / name, *settings)
        case = first
        while case < first + num_cases:
            command = [sys.executable, __file__, "--worker", folder, "--seed", str(seed)]
            command += ["--first", str(case), "--cases", str(first + num_cases - case)]
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for line in _lines_within(worker, MAX_SECONDS * 3):
                report = json.loads(line)
                if "begin" in report:
                    case = report["begin"]
                    continue
                num_done += 1
                if num_done % 1000 == 0:
                    print(f"{num_done} cases, {len(failures)} failures", file=sys.stderr, flush=True)
                slowest, peak_mib = max(slowest, report["seconds"]), max(peak_mib, report["peak_mib"])
                counts.update(f"{report['clip']} {result.split('UNTYPED')[0]}" for result in report["results"])
                is_untyped = any("UNTYPED" in result for result in report["results"])
                is_too_much = report["seconds"] > MAX_SECONDS or report["peak_mib"] > MAX_MIB
                if is_untyped or is_too_much or report["files_left_open"]:
                    failures.append(report)
            worker.wait()
            if worker.returncode:
                failures.append({"case": case, "crash": worker.returncode})
                num_done += 1
            case += 1
    return {
        "seed": seed,
        "cases": num_done,
        "failures": failures,
        "slowest_case_in_s": slowest,
        "peak_memory_in_mib": peak_mib,
        "results": dict(sorted(counts.items())),
    }


def _lines_within(worker: subprocess.Popen, seconds: float):
    """The lines that `worker` prints; it is killed if it takes longer than `seconds` for one."""
    while True:
        watchdog = threading.Timer(seconds, worker.kill)
        watchdog.start()
        line = worker.stdout.readline()
        watchdog.cancel()
        if not line:
            return
        yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--keep", type=Path, help="write the file of the first case here")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.seed, options.first, options.first + options.cases)
        return
    if options.keep:
        with tempfile.TemporaryDirectory() as folder:
            for name, settings in CLIPS.items():
                write_clip(Path(folder) / name, *settings)
            contents = {name: (Path(folder) / name).read_bytes() for name in CLIPS}
        name, kind, data = damaged_clip(contents, options.seed, options.first)
        options.keep.write_bytes(data)
        print(f"{options.keep}: {name}, {kind}, {len(data)} bytes", file=sys.stderr)
    report = run(options.seed, options.first, options.cases)
    text = json.dumps(report, indent=1)
    if options.output:
        options.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
