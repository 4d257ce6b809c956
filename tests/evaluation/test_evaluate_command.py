# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio evaluate` from the command line, on files."""

import json
import os
import subprocess
import sys

import jiwer
import numpy as np
import pytest

from deepaudio_diffusers.cli import main
from deepaudio_diffusers.evaluation.durations import duration_error
from deepaudio_diffusers.evaluation.intervals import bootstrap
from deepaudio_diffusers.media import write_audio
from tests.evaluation.generated import blows, jumping_block, write_clips
from tests.evaluation.tiny_networks import save_speaker_network, save_tagger, save_vggish


def evaluate(*arguments) -> int:
    return main(["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Two systems, of which one fails in each way, scored with and without networks."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_clips(folder / "clips")
    arguments = ["score", folder / "clips" / "manifest.jsonl"]
    arguments += ["--results", folder / "clips" / "same", "--results", f"broken={folder / 'clips' / 'bad'}"]
    arguments += ["--speaker-network", save_speaker_network(folder / "speakers"), "--tagger"]
    arguments += [save_tagger(folder / "tagger"), "--output", folder / "out", "--benchmark", "v2c-dub-1.0"]
    assert evaluate(*arguments) == 0
    return folder / "out", arguments


def read(folder):
    return json.loads((folder / "report.json").read_text())


def test_what_is_equal_to_the_references_scores_best(scored):
    figures = read(scored[0])["systems"]["same"]["figures"]
    for name in ("mcd", "mcd_dtw", "mcd_dtw_sl", "duration_error", "kl"):
        assert figures[name]["value"] == pytest.approx(0, abs=1e-9), name
    for name in ("contour_r", "level_r", "onset_f1", "spk_sim"):
        assert figures[name]["value"] == pytest.approx(1), name
    assert figures["fd"]["value"] == pytest.approx(0, abs=1e-6)
    assert figures["mcd"]["num_clips"] == 6


def test_failures_are_counted_named_and_not_averaged_away(scored):
    broken = read(scored[0])["systems"]["broken"]
    assert list(broken["failures"]) == [f"clip-{number}" for number in range(5)]
    assert broken["unexpected"] == ["stranger.wav"]
    figures, rest = broken["figures"], broken["figures_without_failures"]
    # Five of six failed; the last is perfect.
    assert figures["spk_sim"]["value"] == pytest.approx(1 / 6)
    assert figures["contour_r"]["value"] == pytest.approx(1 / 6)
    assert figures["duration_error"]["value"] == pytest.approx(5 / 6)
    assert figures["mcd"]["value"] > 10
    assert figures["spk_sim"]["num_clips"] == 6
    assert rest["mcd"]["value"] == pytest.approx(0, abs=1e-9) and rest["mcd"]["num_clips"] == 1
    text = (scored[0] / "report.md").read_text()
    assert "`clip-0`: missing" in text and "`clip-2`: silent" in text and "stranger.wav" in text


def test_the_report_names_its_protocol(scored):
    report = read(scored[0])
    assert report["protocol"]["spk_sim"]["network"] == "speakers"
    assert len(report["protocol"]["spk_sim"]["revision"]) == 12
    assert report["protocol"]["distortion"]["sampling rate"] == 22_050
    assert report["seed"] == 0 and "torchmetrics" in report["versions"]


def test_published_figures_stand_beside_others_only_where_protocols_match(scored):
    text = (scored[0] / "report.md").read_text()
    assert "SPK-SIM: of 2698 clips, here of 6" in text
    assert "WER, mean of clips: not measured" in text
    assert "DeepAudio-V1, MMAudio L-44k" not in text


def test_pages_show_each_result(scored):
    page = (scored[0] / "listen.html").read_text()
    assert page.count("<audio") == 6 + 6 + 1 and "data:audio/wav;base64," in page
    assert page.count('class="failed"') == 5
    assert (scored[0] / "spectrograms.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_run_says_the_same_and_asks_no_network(scored, monkeypatch):
    from deepaudio_diffusers.evaluation import networks, scorers

    before = (scored[0] / "report.json").read_text()
    for name in ("SpeakerNetwork", "SoundTagger"):
        monkeypatch.setattr(getattr(networks, name), "hear", lambda *_: pytest.fail("a network was asked"))
    monkeypatch.setattr(scorers, "warped_distortions", lambda *_: pytest.fail("speech was warped"))
    assert evaluate(*scored[1]) == 0
    assert (scored[0] / "report.json").read_text() == before


def test_several_processes_report_the_same(scored, tmp_path):
    manifest = scored[1][1]
    arguments = ["evaluate", "score", str(manifest), "--results", str(manifest.parent / "bad"), "--scores", "duration"]
    arguments += ["contours", "onsets", "vggish", "--tagger", str(save_vggish(tmp_path / "vggish"))]
    arguments += ["--num-shown", "1"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "deepaudio_diffusers.cli"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *arguments, "--output", str(tmp_path / "two")], env=environment, check=True)
    assert main([*arguments, "--output", str(tmp_path / "one")]) == 0
    two, one = read(tmp_path / "two"), read(tmp_path / "one")
    # A network may round otherwise on another number of threads.
    by_network = [report["systems"]["bad"]["figures"].pop("fad") for report in (two, one)]
    assert two == one
    assert by_network[0] == pytest.approx(by_network[1], rel=1e-4)


def test_words_are_counted_as_jiwer_counts_them(tmp_path):
    write_clips(tmp_path / "clips")
    manifest = tmp_path / "clips" / "manifest.jsonl"
    lines = [json.loads(line) | {"transcript": "set blue by nine"} for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    arguments = ["score", manifest, "--results", tmp_path / "clips" / "bad", "--recognizer", "word-loop"]
    assert evaluate(*arguments, "--scores", "words", "--output", tmp_path / "out") == 0
    system = read(tmp_path / "out")["systems"]["bad"]
    heard = [clip["heard"] for clip in system["clips"]]
    assert heard[:5] == [""] * 5
    assert system["figures"]["wer"]["value"] == pytest.approx(jiwer.wer(["set blue by nine"] * 6, heard))


def test_motion_is_scored_where_there_are_videos(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(jumping_block())
    for name, offset in (("in_time", 0.0), ("late", 0.6)):
        (tmp_path / name).mkdir()
        write_audio(tmp_path / name / "clip.wav", blows(offset_in_s=offset), 16_000)
    (tmp_path / "manifest.jsonl").write_text('{"key": "clip", "video": "clip.mp4"}\n')
    results = ["--results", tmp_path / "in_time", "--results", tmp_path / "late"]
    assert evaluate("score", tmp_path / "manifest.jsonl", *results, "--output", tmp_path / "out") == 0
    systems = read(tmp_path / "out")["systems"]
    assert systems["in_time"]["figures"]["desync_motion"]["value"] == pytest.approx(0)
    assert systems["late"]["figures"]["desync_motion"]["value"] == pytest.approx(0.6)


def test_a_comparison_finds_what_is_larger_than_chance(scored, tmp_path, capsys):
    manifest, output = scored[1][1], tmp_path
    same = ["score", manifest, "--results", f"mine={manifest.parent / 'same'}", "--scores", "duration", "contours"]
    bad = ["score", manifest, "--results", f"mine={manifest.parent / 'bad'}", "--scores", "duration", "contours"]
    assert evaluate(*same, "--output", output / "a") == evaluate(*bad, "--output", output / "b") == 0
    capsys.readouterr()
    reports = [output / "a" / "report.json", output / "b" / "report.json"]
    assert evaluate("compare", *reports, "--json", output / "c.json") == 0
    assert "**worse**" in capsys.readouterr().out
    found = {each["figure"]: each for each in json.loads((output / "c.json").read_text())}
    # The interval is that of the differences of the same clips.
    errors = np.array([duration_error(0, 0.6)] * 5 + [0.0])
    expected = bootstrap(errors)
    assert found["duration_error"]["difference"]["low"] == pytest.approx(expected.low)
    assert found["duration_error"]["verdict"] == "worse"
    assert evaluate("compare", reports[0], reports[0], "--json", output / "c.json") == 0
    verdicts = {each["verdict"] for each in json.loads((output / "c.json").read_text())}
    assert verdicts == {"no difference"}


def test_figures_of_other_networks_are_not_compared(scored, tmp_path):
    report = read(scored[0])
    report["protocol"]["spk_sim"]["revision"] = "another"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(report))
    assert evaluate("compare", scored[0] / "report.json", other, "--json", tmp_path / "c.json") == 0
    found = [each for each in json.loads((tmp_path / "c.json").read_text()) if each["figure"] == "spk_sim"]
    assert {each["verdict"] for each in found} == {"not comparable"}
    assert "revision" in found[0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--results", "nowhere"], "There is no folder nowhere"),
        (["--scores", "beauty"], "beauty"),
        (["--scores", "motion"], "needs `video` of every clip"),
        (["--speaker-network", "nowhere/at/all"], "WavLMForXVector"),
        (["--benchmark", "unknown"], "published are v2c-dub-1.0"),
    ],
)
def test_what_cannot_be_done_is_said(scored, tmp_path, capsys, arguments, message):
    assert evaluate("score", scored[1][1], *arguments, "--output", tmp_path / "out") == 1
    assert message in capsys.readouterr().err
