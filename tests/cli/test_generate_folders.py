# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio generate` over folders: failures, going on after an interruption, odd names, and what may not be lost."""

import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from deepaudio_diffusers.media import probe, write_audio
from deepaudio_diffusers.media.encode import encode_video
from tests.cli.conftest import BALL, CHECKPOINT, PUPPET, ROOT, SPEECH, TRANSCRIPT, generate, hashes_of, records_of


TASK = ["--task", "video_to_audio"]


def identities_of(folder: Path) -> dict[str, tuple[int, int]]:
    """By which a file that was written again is told."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*.mp4")}


def test_clips_that_fail_are_counted_and_named_and_the_others_made(clips, tmp_path, capsys):
    assert generate(clips, *TASK, "--output", tmp_path / "expected") == 0
    (clips / "a-nothing.mp4").touch()
    (clips / "b-text.mp4").write_text("not a film")
    (clips / "c-short.mp4").write_bytes(encode_video(np.zeros((5, 32, 32, 3), np.uint8), 25))
    write_audio(clips / "sound.wav", np.ones(100, np.float32) / 2, 16000)
    (clips / "sound.wav").rename(clips / "d-sound.mp4")
    (clips / "e-gone.mp4").symlink_to("nowhere")
    capsys.readouterr()

    assert generate(clips, *TASK, "--output", tmp_path / "out") == 3
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "deepaudio: error: 5 of 7 clips failed"
    *lines, last = said.out.splitlines()
    assert last.startswith("2 made, 0 kept, 5 failed; ")
    reasons = {line.split("'")[1]: line for line in lines if line.startswith("failed: ")}
    assert "is empty (0 bytes)" in reasons["a-nothing.mp4"]
    assert "cannot be opened as a media file" in reasons["b-text.mp4"]
    assert "0.2" in reasons["c-short.mp4"]
    assert "no video stream" in reasons["d-sound.mp4"]
    assert "does not exist or is not a file" in reasons["e-gone.mp4"]
    assert hashes_of(tmp_path / "out") == hashes_of(tmp_path / "expected")

    before = identities_of(tmp_path / "out")
    (clips / "a-nothing.mp4").write_bytes(BALL.read_bytes())
    assert generate(clips, *TASK, "--output", tmp_path / "out", "--resume") == 3
    assert "1 made, 2 kept, 4 failed" in capsys.readouterr().out
    assert before.items() < identities_of(tmp_path / "out").items()
    # In the order of the folder, not of the work.
    assert list(records_of(tmp_path / "out" / "manifest.jsonl")) == ["a-nothing.mp4", "puppet.mp4", "more/ball.mp4"]


def test_nothing_is_made_twice_or_replaced_unasked(clips, tmp_path, capsys):
    out = tmp_path / "out"
    assert generate(clips, *TASK, "--output", out) == 0
    made, before = hashes_of(out), identities_of(out)
    capsys.readouterr()

    assert generate(clips, *TASK, "--output", out) == 1
    assert "says that something was made here before; pass --resume" in capsys.readouterr().err
    # No network is loaded for what is finished.
    assert generate(clips, *TASK, "--output", out, "--resume") == 0
    assert capsys.readouterr().out.startswith("kept: 'puppet.mp4'\nkept: 'more/ball.mp4'\n0 made, 2 kept, 0 failed")
    assert (hashes_of(out), identities_of(out)) == (made, before)

    assert generate(clips, *TASK, "--output", out, "--resume", "--seed", 1, "--prompt", "rain") == 1
    assert "'puppet.mp4' was made with another prompt, seed than this call asks for" in capsys.readouterr().err
    (out / "puppet.mp4").unlink()
    assert generate(clips, *TASK, "--output", out, "--resume") == 0
    assert hashes_of(out) == made
    assert identities_of(out)["ball.mp4"] == before["ball.mp4"]

    (out / "puppet.mp4").write_bytes(b"edited")
    assert generate(clips, *TASK, "--output", out, "--resume") == 1
    assert "puppet.mp4' was changed since it was made; move it away" in capsys.readouterr().err
    # What was made stays known as long as nothing takes its place.
    manifest = (out / "manifest.jsonl").read_bytes()
    assert generate(clips, *TASK, "--output", out, "--overwrite", model="no-model") == 1
    assert (out / "manifest.jsonl").read_bytes() == manifest
    assert generate(clips, *TASK, "--output", out, "--overwrite") == 0
    assert hashes_of(out) == made


def test_files_of_others_are_not_replaced(clips, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "puppet.mp4").write_text("precious")
    for option in ([], ["--resume"]):
        assert generate(clips, *TASK, "--output", tmp_path / "out", *option) == 1
        assert "puppet.mp4' exists already; pass --overwrite" in capsys.readouterr().err
    (tmp_path / "out" / "manifest.jsonl").write_text('{"version": 3}\n')
    for option in ("--resume", "--overwrite"):
        assert generate(clips, *TASK, "--output", tmp_path / "out", option) == 1
        assert "manifest.jsonl' is not of a manifest" in capsys.readouterr().err
    assert (tmp_path / "out" / "puppet.mp4").read_text() == "precious"


@pytest.mark.parametrize("output", [".", "more/../puppet.mp4", "link.mp4"])
def test_what_is_read_is_never_written_to(clips, monkeypatch, capsys, output):
    monkeypatch.chdir(clips)
    (clips / "link.mp4").symlink_to("puppet.mp4")
    before = hashes_of(clips)
    assert generate("puppet.mp4", *TASK, "--output", output, "--overwrite") == 1
    assert "which is read; pass another --output" in capsys.readouterr().err
    assert hashes_of(clips) == before


def test_results_in_the_folder_of_the_clips_are_not_taken_for_clips(clips):
    for option in ([], ["--resume"]):
        assert generate(clips, *TASK, "--output", clips / "out", *option) == 0
        assert set(records_of(clips / "out" / "manifest.jsonl")) == {"puppet.mp4", "more/ball.mp4"}


def test_two_clips_never_become_one_file(clips, tmp_path, capsys):
    (clips / "puppet.mov").write_bytes((clips / "puppet.mp4").read_bytes())
    assert generate(clips, *TASK, "--output", tmp_path / "out", "--save", "wav") == 1
    message = capsys.readouterr().err
    assert "puppet.mov' and " in message
    assert "would both become 'puppet.wav'; rename one" in message
    assert generate(clips, *TASK, "--output", tmp_path / "out") == 0
    assert {"puppet.mov", "puppet.mp4"} < set(hashes_of(tmp_path / "out"))


NAMES = [
    "with space.mp4",
    "-dash.mp4",
    "Ünïcödé 你好 🎬.mp4",
    "quote\"' $(id); & .mp4",
    "line\nbreak.mp4",
    "dots.a.b.MP4",
]


def test_any_name_will_do(tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    for name in NAMES:
        (tmp_path / "clips" / name).write_bytes(BALL.read_bytes())
    not_utf8 = os.fsencode(tmp_path / "clips") + b"/caf\xe9.mp4"
    Path(os.fsdecode(not_utf8)).write_bytes(BALL.read_bytes())
    (tmp_path / "clips" / "link.mp4").symlink_to(BALL)
    (tmp_path / "clips" / ".hidden.mp4").write_bytes(b"")
    (tmp_path / "clips" / "notes.txt").write_text("no clip")

    assert generate(tmp_path / "clips", *TASK, "--output", tmp_path / "the output") == 0
    made = [path for path in (tmp_path / "the output").iterdir() if path.suffix.lower() == ".mp4"]
    names = {os.fsencode(path.stem) for path in made}
    assert names == {*(os.fsencode(Path(name).stem) for name in NAMES), b"caf\xe9", b"link"}
    assert all(probe(path).has_audio for path in made)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(NAMES) + 3
    assert "made: 'line\\nbreak.mp4'" in lines


def test_an_output_that_cannot_be_written_ends_the_call_at_once(clips, tmp_path, capsys):
    (tmp_path / "file").touch()
    # Not loaded, since nothing could come of it.
    assert generate(clips, *TASK, "--output", tmp_path / "file" / "out", model="no-model") == 1
    assert "deepaudio: error: [Errno 20] Not a directory" in capsys.readouterr().err


def test_only_one_call_works_on_a_folder(clips, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".manifest.jsonl.lock"):
        assert generate(clips, *TASK, "--output", tmp_path / "out") == 1
    assert "Another `deepaudio generate` is at work on" in capsys.readouterr().err


def test_a_manifest_that_a_kill_tore_is_read_up_to_there(clips, tmp_path):
    out = tmp_path / "out"
    assert generate(clips, *TASK, "--output", out) == 0
    made, before = hashes_of(out), identities_of(out)
    content = (out / "manifest.jsonl").read_bytes()
    (out / "manifest.jsonl").write_bytes(content[:-10])
    (out / ".manifest.jsonl.partial").mkdir()
    (out / ".manifest.jsonl.partial" / "ball.mp4").write_bytes(b"half")
    assert generate(clips, *TASK, "--output", out, "--resume") == 0
    assert hashes_of(out) == made
    assert identities_of(out)["puppet.mp4"] == before["puppet.mp4"]


def test_kills_leave_no_trace(tmp_path):
    """The benchmark of that name, small: four clips, three kills."""
    with tarfile.open(tmp_path / "clips.tar", "w") as tar:
        for i, clip in enumerate([BALL, PUPPET, BALL, PUPPET]):
            facts = {"prompt": f"clip {i}", "transcript": TRANSCRIPT if clip == PUPPET else None}
            for suffix, content in ((".mp4", clip.read_bytes()), (".json", json.dumps(facts).encode())):
                member = tarfile.TarInfo(f"clip-{i}{suffix}")
                member.size = len(content)
                tar.addfile(member, BytesIO(content))
    command = [sys.executable, ROOT / "benchmarks" / "generate_kills.py", "--model", CHECKPOINT]
    command += ["--shard", tmp_path / "clips.tar", "--clips", "4", "--kills", "3", "--steps", "1", "--seed", "3"]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(result.stdout[result.stdout.index("{") :])
    assert report["kills"] == 3
    assert report["different_files"] == []
    assert report["files"] == 4 * 3 + 2 + 1


def test_speech_that_the_clip_cuts_is_a_warning(tmp_path, capsys):
    arguments = ["--task", "text_to_speech", *SPEECH, "--length", 6]
    assert generate(BALL, *arguments, "--output", tmp_path / "out") == 0
    assert "lasts 6.00 s and is cut to the 4.00 s of the clip; --save wav" in capsys.readouterr().err
