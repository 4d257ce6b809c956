# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether `deepaudio generate --resume` survives SIGKILL: killed again and again, it has to end with the same files.

    deepaudio make-world world
    python benchmarks/generate_kills.py --model checkpoints/deepaudio-tiny \
        --shard world/clips/validation/validation-000000.tar --clips 30 --kills 20

The same list of clips is made twice, once without a disturbance and once killed at random moments: most of them while
a clip is made or written, one in five while the command starts. After each kill every clip that the manifest calls
finished must be there, and must be the very file that was there before. In the end both folders must hold the same
files, byte for byte, hidden ones included.

Libraries are imported once, and each call of the command is a fork: kills are to hit the command, and not the import
of PyTorch, which takes most of the time of a short call.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import deepaudio_diffusers.cli.loading  # noqa: F401
from deepaudio_diffusers.cli import main as deepaudio


ROOT = Path(__file__).parents[1]
VOICE, VOICE_TEXT = ROOT / "examples" / "assets" / "voice.wav", "throw white with paper five later"
POLL_IN_S = 0.02
SHARE_OF_EARLY_KILLS = 0.2


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Pipeline folder.")
    parser.add_argument("--shard", type=Path, required=True, help="Clips, as `deepaudio make-world` writes them.")
    parser.add_argument("--clips", type=int, default=30, help="How many of them (default: %(default)s).")
    parser.add_argument("--kills", type=int, default=20, help="How many kills (default: %(default)s).")
    parser.add_argument("--steps", type=int, default=4, help="Inference steps of everything (default: %(default)s).")
    parser.add_argument("--seed", type=int, default=0, help="Of the moments (default: %(default)s).")
    parser.add_argument("--report", type=Path, help="JSON to write.")
    return parser.parse_args()


def write_list(shard: Path, num_clips: int, folder: Path) -> Path:
    """Unpack clips into `folder` and list them: a soundtrack where somebody speaks, and sound where nobody does."""
    rows = []
    with tarfile.open(shard) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            if not member.name.endswith(".mp4") or len(rows) == num_clips:
                continue
            (folder / member.name).write_bytes(tar.extractfile(member).read())
            facts = json.load(tar.extractfile(member.name.removesuffix(".mp4") + ".json"))
            row = {"file_name": member.name, "task": "video_to_audio", "prompt": facts["prompt"]}
            if facts["transcript"]:
                speech = {"transcript": facts["transcript"], "voice": str(VOICE.resolve()), "voice_text": VOICE_TEXT}
                row |= {"task": "soundtrack"} | speech
            rows.append(row)
    if len(rows) < num_clips:
        raise SystemExit(f"{shard} has {len(rows)} clips; {num_clips} were asked for")
    path = folder / "clips.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Command:
    """The command at work on an output folder, and the lines of the manifest there."""

    def __init__(self, args: argparse.Namespace, clips: Path, output: Path):
        self._arguments = ["generate", str(clips), "--model", args.model, "--output", str(output), "--resume"]
        self._arguments += ["--steps", str(args.steps), "--speech-steps", str(args.steps), "--save", "video,wav,stems"]
        self.output, self.log = output, output.with_suffix(".log")

    def start(self) -> multiprocessing.Process:
        process = multiprocessing.get_context("fork").Process(target=self._run)
        process.start()
        return process

    def _run(self) -> None:
        with open(self.log, "w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.exit(deepaudio(self._arguments))

    def finish(self) -> None:
        """Run it to its end."""
        process = self.start()
        process.join()
        if process.exitcode != 0:
            raise SystemExit(f"a run that was not killed failed:\n{self.log.read_text()}")

    def finished(self) -> dict[str, dict[str, str]]:
        """The files of each finished clip, with their hashes, by the manifest."""
        path = self.output / "manifest.jsonl"
        if not path.exists():
            return {}
        *lines, _torn = path.read_text().split("\n")
        return {record["name"]: record["files"] for record in map(json.loads, lines)}


def hash_files(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def measure(command: Command) -> tuple[float, float]:
    """Run it to its end; returns how long it takes to the first clip, and for one clip after it."""
    times = []
    start = time.monotonic()
    process = command.start()
    while process.is_alive():
        while len(times) < len(command.finished()):
            times.append(time.monotonic() - start)
        time.sleep(POLL_IN_S)
    process.join()
    if process.exitcode != 0:
        raise SystemExit(f"the undisturbed run failed:\n{command.log.read_text()}")
    return times[0], (times[-1] - times[0]) / max(1, len(times) - 1)


def kill_once(command: Command, randomness: random.Random, first_in_s: float, clip_in_s: float) -> None:
    """Start the command and kill it, at the latest some time after it has finished two more clips."""
    before = len(command.finished())
    process = command.start()
    if randomness.random() < SHARE_OF_EARLY_KILLS:
        time.sleep(randomness.uniform(0, first_in_s))
    else:
        num_more = randomness.choice((0, 1, 2))
        delay_in_s = randomness.uniform(0, clip_in_s)
        # The first clip is begun that much before it is finished.
        begun_at = time.monotonic() + max(0.0, first_in_s - clip_in_s)
        while process.is_alive() and len(command.finished()) < before + num_more:
            time.sleep(POLL_IN_S)
        if num_more == 0:
            delay_in_s += max(0.0, begun_at - time.monotonic())
        time.sleep(delay_in_s)
    process.kill()
    process.join()


def check_finished(command: Command, seen: dict[str, tuple[int, int]]) -> None:
    """Compare finished files with the manifest, and with what they were after earlier kills."""
    for files in command.finished().values():
        for name, digest in files.items():
            path = command.output / name
            if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                raise SystemExit(f"{name} is finished by the manifest, but lost or another file")
            identity = path.stat().st_ino, path.stat().st_mtime_ns
            if seen.setdefault(name, identity) != identity:
                raise SystemExit(f"{name} was finished and has been made again")
    if lost := [name for name in seen if not (command.output / name).exists()]:
        raise SystemExit(f"{lost[0]} was finished and has been lost")


def main(args: argparse.Namespace) -> None:
    randomness = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "clips").mkdir()
        clips = write_list(args.shard, args.clips, Path(folder) / "clips")
        undisturbed = Command(args, clips, Path(folder) / "undisturbed")
        disturbed = Command(args, clips, Path(folder) / "disturbed")
        first_in_s, clip_in_s = measure(undisturbed)
        print(f"undisturbed: {first_in_s:.1f} s to the first clip, {clip_in_s:.2f} s for each other")

        seen: dict[str, tuple[int, int]] = {}
        progress, num_leftovers = [], 0
        while len(progress) < args.kills and len(disturbed.finished()) < args.clips:
            kill_once(disturbed, randomness, first_in_s, clip_in_s)
            check_finished(disturbed, seen)
            progress.append(len(disturbed.finished()))
            num_leftovers += disturbed.output.exists() and any(disturbed.output.glob(".*.partial/*"))
            print(f"kill {len(progress)}: {progress[-1]} of {args.clips} clips finished", flush=True)
        disturbed.finish()
        check_finished(disturbed, seen)

        expected, found = hash_files(undisturbed.output), hash_files(disturbed.output)
        different = sorted(name for name in expected | found if expected.get(name) != found.get(name))
        report: dict[str, Any] = {
            "clips": args.clips,
            "kills": len(progress),
            "kills_with_unfinished_files": num_leftovers,
            "finished_after_each_kill": progress,
            "files": len(expected),
            "different_files": different,
        }
    print(json.dumps(report, indent=1))
    if args.report is not None:
        args.report.write_text(json.dumps(report, indent=1) + "\n")
    if different or len(progress) < args.kills:
        raise SystemExit("not shown: files differ, or the clips were finished before the last kill")


if __name__ == "__main__":
    main(parse_args())
