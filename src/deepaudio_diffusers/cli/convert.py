# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio convert`: published weights become a pipeline folder."""

import argparse
from textwrap import dedent

from ..conversion.recipes import DEEPAUDIO_REPO, F5TTS_REPO, MMAUDIO_REPO, RECIPES, Recipe


def add_command(commands: argparse._SubParsersAction) -> None:
    examples = dedent(f"""
        examples:
          download what is needed (once) and convert it
            deepaudio convert mm-l44k-v2 --source {MMAUDIO_REPO} --output mmaudio-large-v2
            deepaudio convert f5-v1-base --source {F5TTS_REPO} --output f5-tts
            deepaudio convert v2s-s16 --source {DEEPAUDIO_REPO} --output deepaudio-speech

          sound and speech in one pipeline, which a gate lets read instructions
            deepaudio convert deepaudio-s16 --source {DEEPAUDIO_REPO} --gate my-gate --output deepaudio-s16

          convert files you have; sub-folders are searched and names do not matter, except where networks of equal
          sizes are published (f5-*, v2s-*, deepaudio-*): keep the names of these
            deepaudio convert mm-s16k --source ~/MMAudio --output mmaudio-small --dtype bfloat16

          and share the result
            deepaudio convert mm-s44k --source ~/MMAudio --output mmaudio-s44k --push-to-hub me/mmaudio-s44k

        f5-small is the size that the authors of F5-TTS describe and do not publish. Its source is a folder with a
        network of that size (first generation: no text mask, one rotary head), its vocab.txt, and Vocos.

        Then, in Python:
            from deepaudio_diffusers import DeepAudioPipeline, TextToSpeechPipeline, VideoToAudioPipeline
            pipeline = DeepAudioPipeline.from_pretrained("deepaudio-s16")
            pipeline = VideoToAudioPipeline.from_pretrained("mmaudio-large-v2")
            pipeline = TextToSpeechPipeline.from_pretrained("f5-tts")

        The weights of MMAudio, F5-TTS and DeepAudio-V1 are for non-commercial use (CC BY-NC 4.0) and those of CLIP for
        research; the README.md in the output names the licence of every part.
        """)
    parser = commands.add_parser(
        "convert",
        help="published weights of MMAudio, F5-TTS or DeepAudio-V1 -> a pipeline folder",
        description="Convert published weights to a folder for from_pretrained: those of MMAudio for\n"
        "VideoToAudioPipeline, those of F5-TTS and DeepAudio-V1 for TextToSpeechPipeline, and those of MMAudio and\n"
        "DeepAudio-V1 together for DeepAudioPipeline.",
        epilog=f"variants:\n{_variants()}\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("variant", choices=RECIPES, metavar="VARIANT", help="one of the variants below")
    parser.add_argument(
        "--source",
        required=True,
        metavar="DIR_OR_HUB",
        help="folder that holds the published files, or Hub repository to download them from "
        f"({MMAUDIO_REPO} for mm-*, {F5TTS_REPO} for f5-*, {DEEPAUDIO_REPO} for v2s-* and deepaudio-*)",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write; new or empty")
    parser.add_argument(
        "--gate",
        metavar="DIR",
        help="for deepaudio-*: folder with a trained gate and its tokenizer, saved there by save_pretrained; without "
        "it the pipeline reads no `instruction` and has to be told the `task`",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="precision of the saved weights (default: %(default)s, as published; the others take half the space)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a pipeline that is in DIR already")
    parser.add_argument(
        "--push-to-hub",
        metavar="REPO",
        help="upload the finished folder to this Hub repository; it is created private (log in with `hf auth login`)",
    )
    parser.set_defaults(run=run)


def _variants() -> str:
    def row(recipe: Recipe) -> str:
        sizes = ["not published" if part.published is None else part.published.size for part in recipe.networks]
        return (
            f"  {recipe.variant:<13} {recipe.family.name:<19} {recipe.original_name:<20} "
            f"{recipe.sampling_rate:>5} Hz  network {' + '.join(sizes)}"
        )

    return "\n".join(row(recipe) for recipe in RECIPES.values())


def run(options: argparse.Namespace) -> None:
    from transformers.utils.logging import disable_progress_bar

    from ..conversion.pipeline_folder import convert_pipeline

    # There is a line for each checkpoint; bars for each file would only tear them apart.
    disable_progress_bar()
    convert_pipeline(
        options.variant,
        options.source,
        options.output,
        gate=options.gate,
        dtype=options.dtype,
        overwrite=options.overwrite,
        push_to_hub=options.push_to_hub,
    )
