# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers from the files that are published beside the networks: how they are found in a folder, and made.

That of CLIP comes as `vocab.json` and `merges.txt` (apple/DFN5B-CLIP-ViT-H-14-384) or as open_clip's pairs
(mlfoundations/open_clip), that of F5-TTS (arXiv 2410.06885, SWivid/F5-TTS) as `vocab.txt`.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import CLIPTokenizer, PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ..errors import CheckpointError
from ..processing.tokenization_f5tts import F5TTSTokenizer
from .clip import build_clip_tokenizer
from .recipes import OPEN_CLIP_VOCABULARY


Facts = Mapping[str, int | bool]


@dataclass(frozen=True)
class TokenizerKind:
    """How a kind of tokenizer is found and made.

    Attributes:
        find (`Callable`): From the source folder, the files below it, the sizes of the network that reads the tokens
            (see `Identity`), and its file if that was found, to the files of the tokenizer: `None` when they are not
            there, `CheckpointError` when there are several different ones.
        build (`Callable`): From these files and sizes to the tokenizer; `CheckpointError` when they are damaged or do
            not fit.
    """

    find: Callable[[Path, Sequence[Path], Facts, Path | None], tuple[Path, ...] | None]
    build: Callable[[tuple[Path, ...], Facts], PreTrainedTokenizerBase]


def _find_clip_tokenizer(
    folder: Path, files: Sequence[Path], facts: Facts, network: Path | None
) -> tuple[Path, ...] | None:
    """`vocab.json` and `merges.txt`, or open_clip's vocabulary alone."""
    vocab_size = facts["vocab_size"]
    found = {}
    for vocab in (path for path in files if path.name == "vocab.json"):
        merges = vocab.with_name("merges.txt")
        if merges.is_file() and _is_clip_vocabulary(vocab, vocab_size):
            found.setdefault((vocab.read_bytes(), merges.read_bytes()), (vocab, merges))
    if len(found) > 1:
        names = " and ".join(f"`{vocab.relative_to(folder)}`" for vocab, _ in found.values())
        raise CheckpointError(
            f"Two different CLIP tokenizers are in `source`: {names}. Keep one of them in the folder."
        )
    if found:
        return next(iter(found.values()))
    open_clip = next((path for path in files if path.name == OPEN_CLIP_VOCABULARY), None)
    return None if open_clip is None else (open_clip,)


def _is_clip_vocabulary(path: Path, vocab_size: int) -> bool:
    """Other models have files of the same name; CLIP's vocabulary ends with its two special tokens."""
    try:
        vocabulary = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return (
        isinstance(vocabulary, dict)
        and len(vocabulary) == vocab_size
        and vocabulary.get("<|startoftext|>") == vocab_size - 2
        and vocabulary.get("<|endoftext|>") == vocab_size - 1
    )


def _build_clip_tokenizer(paths: tuple[Path, ...], facts: Facts) -> CLIPTokenizer:
    names = " and ".join(f"`{path.name}`" for path in paths)
    try:
        vocab, pairs = _read_tokens(*paths) if len(paths) == 2 else _read_open_clip_tokens(*paths, facts["vocab_size"])
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise CheckpointError(f"{names} cannot be read ({error}). Download the CLIP tokenizer again.") from error
    unknown = [pair for pair in pairs if len(pair.split()) != 2 or pair.replace(" ", "") not in vocab]
    if unknown or len(vocab) != facts["vocab_size"]:
        raise CheckpointError(
            f"{names} make a CLIP tokenizer of {len(vocab)} tokens, where the text encoder knows "
            f"{facts['vocab_size']}, with {len(unknown)} byte pairs that give no token. Download them again."
        )
    return build_clip_tokenizer(vocab, pairs, facts["text_length"])


def _read_tokens(vocab_path: Path, merges_path: Path) -> tuple[dict[str, int], list[str]]:
    # The first line of the merges is a comment on their format.
    pairs = merges_path.read_text(encoding="utf-8").splitlines()[1:]
    return json.loads(vocab_path.read_text(encoding="utf-8")), [pair for pair in pairs if pair]


def _read_open_clip_tokens(path: Path, vocab_size: int) -> tuple[dict[str, int], list[str]]:
    # open_clip ships the byte pairs alone, and more than it uses. The tokens are the bytes, the bytes that end a word,
    # what the pairs merge to, and the two special tokens.
    characters = list(bytes_to_unicode().values())
    tokens = [*characters, *(f"{character}</w>" for character in characters)]
    num_pairs = vocab_size - len(tokens) - 2
    with gzip.open(path, "rt", encoding="utf-8") as file:
        pairs = file.read().splitlines()[1 : 1 + num_pairs]
    tokens += [pair.replace(" ", "") for pair in pairs] + ["<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}, pairs


def _find_f5tts_vocabulary(
    folder: Path, files: Sequence[Path], facts: Facts, network: Path | None
) -> tuple[Path, ...] | None:
    """`vocab.txt` beside the network, else one of as many tokens as the network knows."""
    paths = [path for path in files if path.name == "vocab.txt"]
    if network is not None and network.with_name("vocab.txt") in paths:
        return (network.with_name("vocab.txt"),)
    # By content: the same vocabulary is around with both kinds of line ends.
    vocabularies, fitting = {}, {}
    for path in paths:
        try:
            vocab_size = F5TTSTokenizer(path).vocab_size
        except CheckpointError:
            # Other models have files of the same name.
            continue
        content = path.read_bytes().replace(b"\r\n", b"\n")
        vocabularies.setdefault(content, path)
        if vocab_size == facts.get("vocab_size"):
            fitting.setdefault(content, path)
    if len(fitting) > 1:
        names = " and ".join(f"`{path.relative_to(folder)}`" for path in fitting.values())
        raise CheckpointError(
            f"Two different F5-TTS vocabularies of fitting size are in `source`: {names}. Put the one that the "
            f"network was trained with beside it (`{network.relative_to(folder)}`)."
        )
    # One of another size is refused with both sizes when the tokenizer is made.
    path = next(iter([*fitting.values(), *vocabularies.values()]), None)
    return None if path is None else (path,)


def _build_f5tts_tokenizer(paths: tuple[Path, ...], facts: Facts) -> F5TTSTokenizer:
    tokenizer = F5TTSTokenizer(paths[0])
    if tokenizer.vocab_size != facts["vocab_size"]:
        raise CheckpointError(
            f"`{paths[0].name}` has {tokenizer.vocab_size} tokens, where the network knows {facts['vocab_size']}. "
            "Give the vocabulary that the network was trained with."
        )
    return tokenizer


# By `kind` of `TokenizerFiles`.
TOKENIZERS = {
    "clip": TokenizerKind(_find_clip_tokenizer, _build_clip_tokenizer),
    "f5tts": TokenizerKind(_find_f5tts_vocabulary, _build_f5tts_tokenizer),
}
