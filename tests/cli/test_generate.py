# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio generate`: what it makes, and what it says about it."""

import json

import numpy as np
import pytest
import torch

from deepaudio_diffusers import DeepAudioPipeline
from deepaudio_diffusers.media import probe, read_audio
from tests.cli.conftest import (
    BALL,
    CHECKPOINT,
    PUPPET,
    SPEECH,
    TRANSCRIPT,
    VOICE,
    VOICE_TEXT,
    generate,
    hashes_of,
    records_of,
)
from tests.media.clips import video_packets
from tests.tiny import tiny_deepaudio_pipeline, tiny_pipeline, tiny_speech_pipeline


def test_a_clip_gets_its_soundtrack_and_the_manifest_says_how_to_make_it_again(tmp_path, capsys):
    arguments = ["--task", "soundtrack", "--prompt", "drums", *SPEECH]
    assert generate(PUPPET, *arguments, "--output", tmp_path / "dubbed.mp4", "--save", "wav,stems,spectrogram") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "made: 'puppet-and-drums.mp4'",
        f"1 made, 0 kept, 0 failed; {tmp_path / 'dubbed.jsonl'} lists what is made",
    ]
    assert video_packets(tmp_path / "dubbed.mp4") == video_packets(PUPPET)
    assert probe(tmp_path / "dubbed.mp4").has_audio
    assert (tmp_path / "dubbed.png").read_bytes().startswith(b"\x89PNG")
    (record,) = records_of(tmp_path / "dubbed.jsonl").values()
    written = hashes_of(tmp_path)
    del written["dubbed.jsonl"]
    extensions = [".mp4", ".wav", ".ambience.wav", ".speech.wav", ".png"]
    assert (
        record["files"] == written == {f"dubbed{extension}": written[f"dubbed{extension}"] for extension in extensions}
    )
    assert record["task"] == "soundtrack"
    assert record["task_probabilities"] is None
    assert record["request"]["transcript"] == TRANSCRIPT
    assert record["versions"].keys() >= {"deepaudio-diffusers", "torch", "diffusers"}

    pipeline = DeepAudioPipeline.from_pretrained(CHECKPOINT)
    again = pipeline(
        PUPPET,
        task="soundtrack",
        prompt="drums",
        transcript=TRANSCRIPT,
        reference_audio=VOICE,
        reference_text=VOICE_TEXT,
        num_inference_steps=1,
        speech_num_inference_steps=1,
        generator=torch.Generator().manual_seed(record["seed"]),
    )
    for name, sound in {"": again.audios, ".ambience": again.ambience, ".speech": again.speech}.items():
        samples = read_audio(tmp_path / f"dubbed{name}.wav").samples
        assert np.abs(samples - sound[0].clip(-1, 1)).max() < 2 / 2**15


def test_the_same_call_makes_the_same_bytes_whatever_else_is_made(clips, tmp_path):
    arguments = ["--task", "video_to_audio", "--save", "video,wav,flac"]
    assert generate(clips, *arguments, "--output", tmp_path / "a") == 0
    assert generate(clips, *arguments, "--output", tmp_path / "b") == 0
    assert generate(clips / "puppet.mp4", *arguments, "--output", tmp_path / "alone") == 0
    assert generate(clips, *arguments, "--output", tmp_path / "c", "--seed", 1) == 0

    made = hashes_of(tmp_path / "a")
    stems = ("puppet", "more/ball")
    assert set(made) == {
        "manifest.jsonl",
        *(f"{stem}{suffix}" for stem in stems for suffix in (".mp4", ".wav", ".flac")),
    }
    assert hashes_of(tmp_path / "b") == made
    assert hashes_of(tmp_path / "alone").items() - made.items() == {
        ("manifest.jsonl", hashes_of(tmp_path / "alone")["manifest.jsonl"])
    }
    assert not made.items() & hashes_of(tmp_path / "c").items()
    seeds = [record["seed"] for record in records_of(tmp_path / "a" / "manifest.jsonl").values()]
    assert len(set(seeds)) == 2


def test_a_matroska_file_has_the_same_bytes_too(tmp_path):
    from deepaudio_diffusers.media import write_audio_into_video

    write_audio_into_video(PUPPET, np.ones(100, np.float32), 16000, tmp_path / "clip.mkv")
    for output in ("a.mkv", "b.mkv"):
        assert generate(tmp_path / "clip.mkv", "--task", "video_to_audio", "--output", tmp_path / output) == 0
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_an_instruction_is_read_by_the_gate(tmp_path, capsys):
    tiny_deepaudio_pipeline().save_pretrained(tmp_path / "model")
    instruction = "Dub this clip."
    expected = DeepAudioPipeline.from_pretrained(tmp_path / "model").read_instruction(instruction)
    arguments = ["--instruction", instruction, "--prompt", "a ball", *SPEECH, "--output", tmp_path / "out"]
    assert generate(BALL, *arguments, model=tmp_path / "model") == 0
    record = records_of(tmp_path / "out" / "manifest.jsonl")["bouncing-ball.mp4"]
    assert record["task_probabilities"] == expected
    assert record["task"] == max(expected, key=expected.get)

    arguments[1] = ""
    assert generate(BALL, *arguments, "--overwrite", model=tmp_path / "model") == 3
    assert "failed: 'bouncing-ball.mp4': `instruction` is ''" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pipeline", "arguments", "lacking"),
    [
        (tiny_pipeline, [BALL, "--task", "video_to_audio"], ["--task", "text_to_speech", *SPEECH]),
        (tiny_speech_pipeline, ["--task", "text_to_speech", *SPEECH], [BALL, "--task", "video_to_audio"]),
    ],
)
def test_pipelines_of_one_half_do_their_task(tmp_path, capsys, pipeline, arguments, lacking):
    pipeline().save_pretrained(tmp_path / "model")
    assert generate(*arguments, "--output", tmp_path / "out.wav", model=tmp_path / "model") == 0
    assert read_audio(tmp_path / "out.wav").samples.std() > 0
    assert generate(*lacking, "--output", tmp_path / "none.wav", model=tmp_path / "model") == 3
    assert "The pipeline has no `" in capsys.readouterr().out


def test_speech_without_a_clip_and_of_a_given_length(tmp_path):
    arguments = ["--task", "text_to_speech", *SPEECH, "--length", 2.5]
    assert generate(*arguments, "--output", tmp_path / "speech.FLAC") == 0
    assert read_audio(tmp_path / "speech.FLAC").samples.shape == (1, 40_000)


def test_the_sound_of_the_clip_is_kept_on_request(tmp_path):
    assert generate(BALL, "--task", "video_to_audio", "--output", tmp_path / "once.mp4", "--save", "wav") == 0
    for keep in ("none", "mix"):
        arguments = ["--task", "video_to_audio", "--keep-original", keep, "--seed", 1]
        assert generate(tmp_path / "once.mp4", *arguments, "--output", tmp_path / f"{keep}.mp4") == 0
    old, new, mixed = (read_audio(tmp_path / name).samples for name in ("once.mp4", "none.mp4", "mix.mp4"))
    # A mix that would clip is turned down as a whole.
    both = old + new
    level = float((mixed * both).sum() / (both * both).sum())
    assert 0.95 / max(1.0, np.abs(both).max()) - 0.05 < level < 1.05
    assert np.abs(mixed - level * both).std() < 0.2 * old.std()


def test_lists_say_for_each_clip_what_is_wanted(clips, tmp_path):
    rows = [
        {"file_name": "more/ball.mp4", "prompt": "a ball", "seed": 7},
        {"file_name": "more/ball.mp4", "name": "takes/two", "length": 2.0},
        {
            "name": "said",
            "task": "text_to_speech",
            "transcript": TRANSCRIPT,
            "voice": "v.wav",
            "voice_text": VOICE_TEXT,
        },
    ]
    (clips / "v.wav").write_bytes(VOICE.read_bytes())
    (clips / "list.jsonl").write_text("\n\n".join(json.dumps(row) for row in rows))
    columns = ["file_name", "name", "task", "prompt", "seed", "length", "transcript", "voice", "voice_text"]
    cells = [",".join(str(row.get(column, "")) for column in columns) for row in rows]
    (clips / "list.csv").write_text("\ufeff" + "\r\n".join([",".join(columns), *cells]), encoding="utf-8")

    arguments = ["--task", "video_to_audio", "--prompt", "anything"]
    for kind in ("jsonl", "csv"):
        assert generate(clips / f"list.{kind}", *arguments, "--output", tmp_path / kind) == 0
    assert hashes_of(tmp_path / "jsonl") == hashes_of(tmp_path / "csv")
    assert set(hashes_of(tmp_path / "csv")) == {"manifest.jsonl", "more/ball.mp4", "takes/two.mp4", "said.wav"}
    records = records_of(tmp_path / "csv" / "manifest.jsonl")
    assert records["more/ball.mp4"]["seed"] == 7
    assert [record["request"]["prompt"] for record in records.values()] == ["a ball", "anything", "anything"]
    assert records["takes/two"]["audio_length_in_s"] == 2.0
    assert records["said"]["task"] == "text_to_speech"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"file_name": "puppet.mp4", "promt": "a"}',
            "Line 1 of 'list.jsonl' has the field 'promt'; known are file_name",
        ),
        ('{"file_name": "puppet.mp4"}\n{', "Line 2 of 'list.jsonl' is not JSON"),
        ('["puppet.mp4"]', "Line 1 of 'list.jsonl' is no object"),
        ('{"prompt": "rain"}', "has neither `file_name`, the clip, nor `name`"),
        ('{"file_name": "puppet.mp4", "name": "../out"}', "has the name '../out'; expected a path inside the output"),
        ('{"file_name": "puppet.mp4", "name": "/out"}', "has the name '/out'; expected a path inside the output"),
        ('{"file_name": "puppet.mp4", "seed": "1"}', "has the seed '1'; expected a number"),
        ('{"file_name": 3}', "has the file_name 3; expected text"),
        ('{"file_name": "puppet.mp4", "task": "dub"}', "the task is 'dub'; accepted are video_to_audio"),
        ('{"file_name": "puppet.mp4", "task": "soundtrack"}', "the task soundtrack needs --transcript and --voice"),
        ('{"name": "x", "task": "video_to_audio"}', "the task video_to_audio needs --prompt"),
        ('{"file_name": "puppet.mp4"}\n{"file_name": "puppet.mp4"}', "would both become 'puppet.mp4'"),
        ("", "'list.jsonl' holds no clip"),
        ("\udcff", "'list.jsonl' is not text in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_list_is_one_message_before_any_work(clips, tmp_path, capsys, content, message):
    path = clips / "list.jsonl"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    arguments = [] if '"task"' in content else ["--task", "video_to_audio"]
    # For `list.jsonl` itself it must not come to loading this.
    assert generate(path, *arguments, "--output", tmp_path / "out", model="no-model") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("deepaudio: error: ")
    assert message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["puppet.mp4"], "pass either --task or --instruction"),
        (["."], "pass either --task or --instruction"),
        ([".", "--task", "video_to_audio", "--output", "out.mp4"], "is the file 'out.mp4', but there are 2 clips"),
        (["--task", "video_to_audio", "--prompt", "rain"], "without a clip pass the name of a sound file"),
        (["--task", "text_to_speech", "--output", "a.wav"], "the task text_to_speech needs --transcript and --voice"),
        (["--task", "soundtrack", *SPEECH, "--output", "a.wav"], "the task soundtrack needs a clip"),
        (["--task", "text_to_speech", *SPEECH, "--output", "a.mp4"], "there is no clip to put sound into"),
        (["empty", "--task", "video_to_audio"], "'empty' holds no clip; looked for files that end in .3gp, .avi"),
        (["no.csv", "--task", "video_to_audio"], "'no.csv' cannot be read (No such file or directory)"),
        (["puppet.mp4", "--task", "video_to_audio", "--device", "abacus"], "`device` is 'abacus'"),
        (["puppet.mp4", "--task", "video_to_audio", "--device", "cpu", "--offload", "model"], "`offload` is 'model'"),
        (["puppet.mp4", "--task", "video_to_audio", "--model", "more"], "is a folder without model_index.json"),
    ],
)
def test_what_is_wrong_with_a_call_is_one_message(clips, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(clips)
    (clips / "empty").mkdir()
    if "--output" not in arguments:
        arguments = [*arguments, "--output", "out"]
    assert generate(*arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("deepaudio: error: ")
    assert message in line


def test_a_model_that_is_nowhere_is_one_message(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    arguments = [BALL, "--task", "video_to_audio", "--output", tmp_path / "out"]
    assert generate(*arguments, model="me/no-such-model") == 1
    assert "error: `model` ('me/no-such-model') is no folder here, and cannot be had" in capsys.readouterr().err
