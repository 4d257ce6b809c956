# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A trained gate and its tokenizer from a folder that both were saved to."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ..errors import CheckpointError, InputError
from ..models.gating_network import MoFGatingConfig, MoFGatingNetwork
from ..tasks import TASKS


_CONFIG, _WEIGHTS, _TOKENIZER = "config.json", "model.safetensors", "tokenizer_config.json"

# What transformers was seen to raise on damaged folders.
_DAMAGE_ERRORS = (LookupError, OSError, RuntimeError, SafetensorError, StrictDataclassError, TypeError, ValueError)


@dataclass(frozen=True)
class Gate:
    """What reads the instructions of a pipeline.

    Attributes:
        network (`MoFGatingNetwork`): With the weights as they were saved.
        tokenizer (`PreTrainedTokenizerBase`): Of the instructions.
        weights (`Path`): The file that the weights were read from.
        licence (`str`, *optional*): What the model card in the folder states, such as `"apache-2.0"`.
    """

    network: MoFGatingNetwork
    tokenizer: PreTrainedTokenizerBase
    weights: Path
    licence: str | None


def load_gate(folder: str | Path) -> Gate:
    """Load a gate, and find out whether it is one that [`DeepAudioPipeline`] can use.

    Args:
        folder (`str` or `Path`): What `save_pretrained` of a `MoFGatingNetwork` and of its tokenizer have written, or
            a folder with the two in `gate` and `gate_tokenizer`: a pipeline, or the output of stage 3.

    Returns:
        `Gate`

    Raises:
        InputError: When `folder` is not a folder.
        CheckpointError: When it holds something else, not all of a gate, a damaged one, or one for other tasks.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"`gate` is {str(folder)!r}, which is not a folder here; accepted is one with a "
            "MoFGatingNetwork and its tokenizer, saved there by `save_pretrained`."
        )
    network_folder, tokenizer_folder = folder, folder
    if (folder / "gate").is_dir():
        network_folder, tokenizer_folder = folder / "gate", folder / "gate_tokenizer"
    # Without these, other files would be asked for, or new weights would be made up.
    needed = (network_folder / _CONFIG, network_folder / _WEIGHTS, tokenizer_folder / _TOKENIZER)
    missing = [path.relative_to(folder).as_posix() for path in needed if not path.is_file()]
    if missing:
        raise _refused(folder, f"it lacks {', '.join(missing)}")
    try:
        model_type = json.loads((network_folder / _CONFIG).read_text(encoding="utf-8")).get("model_type")
    except (AttributeError, ValueError) as error:
        raise _refused(folder, f"{_CONFIG} cannot be read") from error
    if model_type != MoFGatingConfig.model_type:
        raise _refused(folder, f"{_CONFIG} is that of a model of type {model_type!r}")

    try:
        network, report = MoFGatingNetwork.from_pretrained(
            network_folder, dtype="auto", use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except _DAMAGE_ERRORS as error:
        raise _refused(folder, f"{_WEIGHTS} and {_CONFIG} do not make a network ({type(error).__name__})") from error
    wrong = sorted({*report["missing_keys"], *report["unexpected_keys"]})
    if wrong:
        raise _refused(folder, f"{_WEIGHTS} lacks weights or has too many ({', '.join(wrong[:3])})")
    tasks = set(network.config.id2label.values())
    if tasks != set(TASKS):
        raise _refused(folder, f"its tasks are {', '.join(sorted(tasks))} instead of {', '.join(TASKS)}")

    try:
        # With its configuration given, the one of the network beside it is not taken for its own.
        tokenizer = AutoTokenizer.from_pretrained(
            tokenizer_folder, config=network.config, trust_remote_code=False, local_files_only=True
        )
    except _DAMAGE_ERRORS as error:
        raise _refused(folder, f"its tokenizer cannot be read ({type(error).__name__})") from error
    num_embeddings = network.config.text_config.vocab_size
    if len(tokenizer) > num_embeddings:
        raise _refused(folder, f"its tokenizer has {len(tokenizer)} tokens, where the network knows {num_embeddings}")
    return Gate(network, tokenizer, network_folder / _WEIGHTS, _stated_licence(folder / "README.md"))


def _refused(folder: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"`gate` ({folder.name!r}) is not a folder with a gate for DeepAudioPipeline: {reason}. Give one with a "
        "MoFGatingNetwork and its tokenizer, saved there by `save_pretrained`, or none."
    )


def _stated_licence(card: Path) -> str | None:
    """The licence in the header of a model card."""
    if not card.is_file():
        return None
    header = re.match(r"---\n(.*?)\n---\n", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    licence = header and re.search(r"^license: *([\w.-]+) *$", header[1], re.MULTILINE)
    return licence[1] if licence else None
