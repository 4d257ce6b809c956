# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Peak memory of reading video: a large frame rate, a large picture, a long film in windows.

Each clip is made here and read in a process of its own. The peak is what the process has held at most, less what it
held before it opened the file (interpreter, PyTorch and this package). For the film the peak after each window tells
whether memory grows with the place in the film or with the number of windows.

Examples:
    python benchmarks/media_memory.py --output benchmarks/results/media_memory.json
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from deepaudio_diffusers.processing.video import read_video_streams


MIB = 2**20
# Width, height, frames per second, seconds, seconds between key frames.
CLIPS = {
    "1080p60 8 s": (1920, 1080, 60, 8, 1),
    "8K 1 s": (7680, 4320, 24, 1, 1),
    "two hours": (64, 64, 24, 7200, 2),
}
NUM_WINDOWS, WINDOW_IN_S = 24, 8.0


def write_clip(path: Path, width: int, height: int, rate: int, length_in_s: int, key_frame_in_s: int) -> None:
    """Write a clip of moving stripes over noise, which is neither easy nor hard to code."""
    rng = np.random.default_rng(0)
    noise = rng.integers(100, 130, (height * 3 // 2, width), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "g": str(rate * key_frame_in_s), "crf": "30"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(rate * length_in_s):
            noise[: height // 4, (i * 8) % width : (i * 8) % width + 8] = 230
            frame = av.VideoFrame.from_ndarray(noise, format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def resident() -> int:
    """Bytes that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def forget_peak() -> None:
    """Begin to measure the peak anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Bytes that this process has held at most. Not `ru_maxrss`, which begins with what the parent process held."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def measure_whole(path: Path) -> dict:
    """Read a clip from beginning to end."""
    forget_peak()
    before = resident()
    start = time.monotonic()
    streams = read_video_streams(path)
    return {
        "peak_in_mib": round((peak() - before) / MIB),
        "before_in_mib": round(before / MIB),
        "seconds": round(time.monotonic() - start, 2),
        "clip_frames": len(streams.clip_index),
        "sync_frames": len(streams.sync_index),
    }


def measure_windows(path: Path, length_in_s: float) -> dict:
    """Read windows from the beginning to the end of a clip."""
    forget_peak()
    before = resident()
    peaks, seconds = [], []
    for i in range(NUM_WINDOWS):
        start = time.monotonic()
        start_in_s = i * (length_in_s - WINDOW_IN_S) / (NUM_WINDOWS - 1)
        read_video_streams(path, start_in_s=start_in_s, audio_length_in_s=WINDOW_IN_S)
        seconds.append(time.monotonic() - start)
        peaks.append(peak())
    return {
        "peak_in_mib": round((peaks[-1] - before) / MIB),
        "growth_after_the_third_window_in_mib": round((peaks[-1] - peaks[2]) / MIB, 1),
        "seconds_per_window": [round(value, 2) for value in seconds],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        (name,) = options.clips
        length_in_s = CLIPS[name][3]
        windowed = length_in_s > 60
        print(
            json.dumps(measure_windows(options.measure, length_in_s) if windowed else measure_whole(options.measure))
        )
        return
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "python": platform.python_version(),
        "av": av.__version__,
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in options.clips:
            path = Path(folder) / f"{name}.mp4"
            write_clip(path, *CLIPS[name])
            command = [sys.executable, __file__, "--clips", name, "--measure", str(path)]
            result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            report[name] = json.loads(result.stdout)
            path.unlink()
    text = json.dumps(report, indent=1)
    if options.output:
        options.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
