# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Put what the training scripts made together into one folder for `DeepAudioPipeline.from_pretrained`.

    python training_scripts/assemble_deepaudio.py --v2a runs/stage1 --speech runs/stage4 --gate runs/stage3 \
        --vocoder runs/codec/vocoder --output_dir deepaudio
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer

from deepaudio_diffusers import (
    DeepAudioPipeline,
    F5TTSTransformer1DModel,
    FlowMatchGridEulerScheduler,
    MoFGatingNetwork,
    PhoneTokenizer,
    VideoToAudioPipeline,
    VocosVocoder,
)


def parse_args(input_args: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--v2a", type=Path, required=True, help="A VideoToAudioPipeline, such as stage 1 saves it.")
    parser.add_argument("--speech", type=Path, required=True, help="Output of stage 4, or of stage 2.")
    parser.add_argument("--vocoder", type=Path, required=True, help="Vocoder of the speech.")
    parser.add_argument("--gate", type=Path, help="Output of stage 3; without it the pipeline reads no instructions.")
    parser.add_argument("--model_card", type=Path, help="Text of the README.md.")
    parser.add_argument("--output_dir", type=Path, required=True)
    return parser.parse_args(input_args)


def forget_folders(pipeline: Path) -> None:
    """Take out of the configurations from which folders of this machine the parts were loaded."""
    for path in [pipeline / "model_index.json", *pipeline.glob("*/*config.json")]:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main(args: argparse.Namespace) -> None:
    """Load the parts, and save them as one pipeline in half precision."""
    parts = dict(VideoToAudioPipeline.from_pretrained(args.v2a).components)
    parts |= {
        "speech_tokenizer": PhoneTokenizer.from_pretrained(args.speech / "tokenizer"),
        "speech_transformer": F5TTSTransformer1DModel.from_pretrained(args.speech / "transformer"),
        "speech_scheduler": FlowMatchGridEulerScheduler(grid="epss"),
        "speech_vocoder": VocosVocoder.from_pretrained(args.vocoder),
    }
    if args.gate is not None:
        parts |= {
            "gate": MoFGatingNetwork.from_pretrained(args.gate / "gate"),
            "gate_tokenizer": AutoTokenizer.from_pretrained(args.gate / "gate_tokenizer"),
        }
    pipeline = DeepAudioPipeline(**parts)
    for name, part in pipeline.components.items():
        # The small parts of transformers are loaded in the precision that they were saved in.
        if isinstance(part, torch.nn.Module) and name not in ("gate", "text_encoder", "image_encoder"):
            part.to(torch.float16)
    pipeline.save_pretrained(args.output_dir)
    forget_folders(args.output_dir)
    if args.model_card is not None:
        (args.output_dir / "README.md").write_text(args.model_card.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    main(parse_args())
