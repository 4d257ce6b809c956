# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio evaluate`: how good results are, each figure with its interval and its protocol."""

import argparse
from pathlib import Path
from textwrap import dedent

from ..evaluation.audioset.published_weights import PUBLISHED_WEIGHTS


SPLITS = ("test", "test_unseen_looks", "validation")


def add_command(commands: argparse._SubParsersAction) -> None:
    examples = dedent("""
        examples:
          the ablation of DeepAudio-V1 on the clips of a procedural world in which somebody talks
            deepaudio make-world world
            deepaudio evaluate world world --talking-only --output talk
            deepaudio evaluate generate talk/manifest.jsonl --pipeline checkpoints/deepaudio-tiny \\
                --recognizer word-loop --output ablation

          results that are there already, of two systems
            deepaudio evaluate score manifest.jsonl --results mine=out/mine --results theirs=out/theirs \\
                --speaker-network microsoft/wavlm-base-sv --output scores

          FAD, FD, KL and IS as in the tables of papers, from weights that were downloaded
            deepaudio evaluate convert panns-16k --source Cnn14_16k_mAP=0.438.pth --output panns-16k
            deepaudio evaluate convert vggish --source vggish-10086976.pth --output vggish
            deepaudio evaluate score manifest.jsonl --results out --tagger panns-16k --tagger vggish \\
                --sound-length-in-s 8 --benchmark vggsound-test --output scores

          has it become better?
            deepaudio evaluate compare before/report.json after/report.json

          in several processes
            ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2 -m deepaudio_diffusers.cli evaluate score ...

        docs/evaluation.md says how a manifest is written, and what each figure means.
        """)
    parser = commands.add_parser(
        "evaluate",
        help="score results against references, videos and texts; compare reports",
        description="Score generated sound and speech. Results that are missing, unreadable, silent or too short\n"
        "count as failures: they are scored as the worst there is, counted and named.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_score(actions)
    _add_generate(actions)
    _add_world(actions)
    _add_compare(actions)
    _add_convert(actions)


def _add_score(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("score", help="results that are there already", description="Score results.")
    parser.add_argument("manifest", metavar="MANIFEST", help="JSON lines, or a data set saved by `datasets`")
    parser.add_argument(
        "--results",
        action="append",
        metavar="[NAME=]DIR",
        help="folder with KEY.wav (or another sound or video) for each clip; repeat for several systems. By default "
        "the results that the manifest names",
    )
    _add_score_options(parser)
    parser.set_defaults(run=run_score)


def _add_generate(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "generate",
        help="run a pipeline over a manifest and score what it makes",
        description="Run a pipeline over the clips of a manifest, and score what it makes. A call that was broken off "
        "goes on.",
    )
    parser.add_argument("manifest", metavar="MANIFEST", help="JSON lines, or a data set saved by `datasets`")
    parser.add_argument("--pipeline", required=True, metavar="DIR", help="folder of a DeepAudioPipeline")
    parser.add_argument(
        "--systems",
        nargs="+",
        metavar="SYSTEM",
        default=None,
        help="video_to_audio, v2a_alone (without a prompt), no_contour, predicted_contour, true_contour, soundtrack "
        "(default: v2a_alone no_contour predicted_contour true_contour, the ablation of speech)",
    )
    for name, default, what in (
        ("num-inference-steps", 25, "steps of sound"),
        ("guidance-scale", 4.5, "guidance of sound"),
        ("speech-num-inference-steps", 32, "steps of speech"),
        ("speech-guidance-scale", 3.0, "guidance of speech"),
    ):
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{what} (default: %(default)s)")
    _add_score_options(parser)
    parser.set_defaults(run=run_generate)


def _add_world(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "world",
        help="clips of a procedural world as files with a manifest",
        description="Write clips of a world of `deepaudio make-world` as files with a manifest.",
    )
    parser.add_argument("world", metavar="WORLD", help="folder of the world")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which clips (default: %(default)s)")
    parser.add_argument("--talking-only", action="store_true", help="only clips in which nothing but speech sounds")
    parser.add_argument("--num-clips", type=int, help="the first so many (default: all)")
    parser.set_defaults(run=run_world)


def _add_compare(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "compare",
        help="which differences of two reports are larger than chance explains",
        description="Compare two reports. Where both are of the same clips, the interval is that of the difference.",
    )
    parser.add_argument("first", metavar="FIRST", help="report.json")
    parser.add_argument("second", metavar="SECOND", help="report.json")
    parser.add_argument("--json", metavar="FILE", help="write the comparison to this file, too")
    parser.set_defaults(run=run_compare)


def _add_convert(actions: argparse._SubParsersAction) -> None:
    rows = "\n".join(
        f"  {variant:<10} {weights.network}\n{'':<13}{weights.url}\n{'':<13}{weights.size}, {weights.licence}"
        for variant, weights in PUBLISHED_WEIGHTS.items()
    )
    parser = actions.add_parser(
        "convert",
        help="published weights of PANNs, VGGish and PaSST -> folders for --tagger",
        description="Convert the published weights of a network for sounds to a folder for --tagger.",
        epilog=f"variants, and where to download them:\n{rows}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("variant", choices=PUBLISHED_WEIGHTS, metavar="VARIANT", help="one of the variants below")
    parser.add_argument("--source", required=True, metavar="FILE", help="the file, or a folder that it is in")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write; it must not be there")
    parser.set_defaults(run=run_convert)


def _add_score_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for report.json, report.md and pages")
    parser.add_argument(
        "--scores",
        nargs="+",
        metavar="SCORE",
        help="distortion, duration, contours, onsets (need references), motion (needs videos), and those of the "
        "networks below (default: all that the manifest has what they need for)",
    )
    networks = parser.add_argument_group("networks", "each adds scores; a folder, or a name on the Hub")
    networks.add_argument(
        "--recognizer",
        metavar="SOURCE",
        help="WER and CER: a Whisper, or 'word-loop' for pocketsphinx with the words of all transcripts in any order",
    )
    networks.add_argument(
        "--speaker-network", metavar="SOURCE", help="SPK-SIM and SIM-O: a WavLMForXVector, or 'resemblyzer'"
    )
    networks.add_argument("--emotion-network", metavar="SOURCE", help="EMO-SIM: a wav2vec 2.0")
    networks.add_argument(
        "--tagger",
        action="append",
        default=[],
        metavar="SOURCE",
        help="FD, KD, KL, IS: PANNs, PaSST (folders that `deepaudio evaluate convert` wrote), an "
        "ASTForAudioClassification, or a SoundClassifier; FAD: VGGish. Repeat for several",
    )
    networks.add_argument("--clap", metavar="SOURCE", help="CLAP score: a ClapModel")
    networks.add_argument(
        "--synchformer", metavar="SOURCE", help="DeSync: a Synchformer, or the published synchformer_state_dict.pth"
    )
    parser.add_argument(
        "--sound-length-in-s",
        type=float,
        metavar="S",
        help="what PANNs, PaSST and VGGish hear of each sound, from its beginning; 8 in the published tables of "
        "VGGSound (default: all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the intervals, and of generation (default: 0)")
    parser.add_argument("--title", default="Scores", help="of the report")
    parser.add_argument(
        "--benchmark", metavar="NAME", help="print published figures: v2c-dub-1.0, -2.0, -3.0, vggsound-test"
    )
    parser.add_argument("--cache-dir", metavar="DIR", help="what was measured, by content (default: OUTPUT/cache)")
    parser.add_argument(
        "--num-shown", type=int, default=8, metavar="N", help="clips on the pages (default: %(default)s)"
    )


def run_score(options: argparse.Namespace) -> None:
    from ..errors import InputError
    from ..evaluation.items import read_items, with_results

    items = read_items(options.manifest)
    systems = {}
    for text in options.results or []:
        name, _, folder = text.rpartition("=")
        name = name or Path(folder).name
        if name in systems:
            raise InputError(f"`--results` names {name!r} twice; give each its own name: NAME=DIR.")
        systems[name] = with_results(items, folder)
    _report(options, systems or {"results": (items, [])}, _scorers(options, items), {})


def run_generate(options: argparse.Namespace) -> None:
    import torch

    from ..evaluation.generation import ABLATION, GenerationSettings, folder_hash, generate_results
    from ..evaluation.items import read_items, with_results
    from ..pipelines.pipeline_deepaudio import DeepAudioPipeline

    items = read_items(options.manifest)
    # Before hours of generation, so that what is missing is said at once.
    scorers = _scorers(options, items)
    pipeline = DeepAudioPipeline.from_pretrained(options.pipeline, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    settings = GenerationSettings(
        options.num_inference_steps,
        options.guidance_scale,
        options.speech_num_inference_steps,
        options.speech_guidance_scale,
        options.seed,
    )
    weights = folder_hash(options.pipeline)
    systems = {}
    for name in options.systems or ABLATION:
        folder = generate_results(
            pipeline, items, name, Path(options.output) / "results", settings=settings, pipeline_hash=weights
        )
        systems[name] = with_results(items, folder)
    described = {"pipeline": f"{Path(options.pipeline).name}, {weights}"} | settings.__dict__
    _report(options, systems, scorers, described)


def run_world(options: argparse.Namespace) -> None:
    from ..synthetic.manifest import MANIFEST_FILE, write_manifest

    num_clips = write_manifest(
        options.world,
        options.split,
        options.output,
        talking_only=options.talking_only,
        num_clips=options.num_clips,
    )
    print(f"{num_clips} clips: {Path(options.output) / MANIFEST_FILE}")


def run_convert(options: argparse.Namespace) -> None:
    from ..evaluation.audioset.conversion import convert_weights

    print(convert_weights(options.variant, options.source, options.output))


def run_compare(options: argparse.Namespace) -> None:
    import json

    from ..evaluation.compare import compare_reports, comparison_to_json, comparison_to_markdown
    from ..evaluation.files import write_whole
    from ..evaluation.report import read_report

    differences = compare_reports(read_report(options.first), read_report(options.second))
    print(comparison_to_markdown(differences))
    if options.json:
        write_whole(Path(options.json), json.dumps(comparison_to_json(differences), indent=1) + "\n")


def _cache_folder(options: argparse.Namespace) -> Path:
    return Path(options.cache_dir) if options.cache_dir else Path(options.output) / "cache"


def _scorers(options: argparse.Namespace, items: list) -> list:
    from ..evaluation.embeddings import EmbeddingCache
    from ..evaluation.published import check_benchmark
    from ..evaluation.selection import select_scorers

    if options.benchmark is not None:
        check_benchmark(options.benchmark)
    return select_scorers(
        items,
        EmbeddingCache(_cache_folder(options)),
        scores=options.scores,
        recognizer=options.recognizer,
        speaker_network=options.speaker_network,
        emotion_network=options.emotion_network,
        taggers=options.tagger,
        clap=options.clap,
        synchformer=options.synchformer,
        sound_length_in_s=options.sound_length_in_s,
    )


def _report(options: argparse.Namespace, systems: dict, scorers: list, settings: dict) -> None:
    from accelerate import PartialState

    from ..evaluation.items import load_item
    from ..evaluation.pages import draw_spectrograms, write_listening_page
    from ..evaluation.report import make_report, to_markdown, write_report
    from ..evaluation.runner import score_system

    output = Path(options.output)
    scored = [
        score_system(name, own, scorers, cache_folder=_cache_folder(options), unexpected=unexpected)
        for name, (own, unexpected) in systems.items()
    ]
    if not PartialState().is_main_process:
        return
    report = make_report(
        scored, scorers, seed=options.seed, title=options.title, benchmark=options.benchmark, settings=settings
    )
    write_report(report, output)
    shown = [(name, [load_item(item) for item in own[: options.num_shown]]) for name, (own, _) in systems.items()]
    draw_spectrograms(output / "spectrograms.png", shown)
    write_listening_page(output / "listen.html", options.title, shown)
    print(to_markdown(report))
