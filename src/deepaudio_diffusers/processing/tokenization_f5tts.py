# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Text -> tokens -> ids, as F5-TTS (arXiv 2410.06885; original code: SWivid/F5-TTS, MIT) was trained to read it."""

# ruff: noqa: RUF001 - the characters that people type are meant.

from pathlib import Path

from transformers import PreTrainedTokenizer

from ..errors import CheckpointError, InputError


MODES = ("pinyin", "char", "byte")
UNKNOWN_ID = 0
# Look-alikes that the vocabulary lacks or that were not told apart in training.
_REPLACED = str.maketrans({";": ",", "“": '"', "”": '"', "‘": "'", "’": "'"})
# After these a Latin word follows without a further space.
_OPEN = frozenset(" :'\"")


class F5TTSTokenizer(PreTrainedTokenizer):
    r"""Splits text for [`F5TTSTransformer1DModel`].

    No token is added and nothing is stripped: every character counts, spaces too. The network's padding is -1, which
    is no id of the vocabulary, so there is no padding token and `padding=True` is an error. Pad a batch with
    `torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in tokenizer(texts).input_ids], batch_first=True,
    padding_value=F5TTSTokenizer.padding_id)`.

    Args:
        vocab_file (`str` or `Path`, *optional*): `vocab.txt`, one token a line, UTF-8; the id is the number of the
            line from 0. Line 0 is a single space, and its id also stands for unknown tokens. Needed by all modes but
            `"byte"`.
        mode (`str`, defaults to `"pinyin"`): How text becomes tokens.

            - `"pinyin"` (the published F5-TTS checkpoints): Chinese characters become a space and a syllable with its
              tone (`zhong1`), everything else characters. Between words a space is put where text has none. Words
              are found by `rjieba`, as in F5-TTS since November 2025. Before, and in DeepAudio-V1, it was `jieba`,
              which also cuts Latin words at `-` and `.` and so puts a space into `e- mail`; Chinese text gives the
              same ids with both.
            - `"char"` (fine-tuned checkpoints, among them DeepAudio-V1's): the characters of the text as they are.
            - `"byte"`: the bytes of its UTF-8.
        kwargs: Those of [`~transformers.PreTrainedTokenizer`].

    Raises:
        InputError: If `mode` is none of these, or needs a `vocab_file` and got none.
        CheckpointError: If `vocab_file` is not such a vocabulary.
    """

    vocab_files_names = {"vocab_file": "vocab.txt"}
    model_input_names = ["input_ids"]
    padding_id = -1

    def __init__(self, vocab_file: str | Path | None = None, mode: str = "pinyin", **kwargs):
        if mode not in MODES:
            raise InputError(f"`mode` is {mode!r}; choose one of {', '.join(map(repr, MODES))}.")
        if mode == "byte":
            self._lines = [chr(byte) for byte in range(256)]
        elif vocab_file is None:
            raise InputError(f"`vocab_file` is None; `mode={mode!r}` needs the vocab.txt of the checkpoint.")
        else:
            self._lines = _read_lines(Path(vocab_file))
        self.mode = mode
        # A token that stands on several lines has the id of the last one, and the network has as many embeddings as
        # there are different tokens: it cannot know what stands on the lines beyond.
        ids = {token: i for i, token in enumerate(self._lines)}
        self._ids = {token: i for token, i in ids.items() if i < len(ids)}
        self._vocab_size = len(ids)
        super().__init__(mode=mode, **kwargs)

    @property
    def vocab_size(self) -> int:
        """How many different tokens the vocabulary has; the `vocab_size` of the network."""
        return self._vocab_size

    def get_vocab(self) -> dict[str, int]:
        """The id of each token."""
        return dict(self._ids)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The tokens joined; in mode `"pinyin"` syllables stand where Chinese characters stood.

        Args:
            tokens (`list[str]`): As `tokenize` returns them.

        Returns:
            `str`: The text.
        """
        text = "".join(tokens)
        return text.encode("latin-1").decode("utf-8", errors="replace") if self.mode == "byte" else text

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        """Writes `vocab.txt`; nothing in mode `"byte"`.

        Args:
            save_directory (`str`): An existing folder.
            filename_prefix (`str`, *optional*): Stands before the name, with a hyphen.

        Returns:
            `tuple[str, ...]`: The path of the file, if there is one.
        """
        if self.mode == "byte":
            return ()
        path = Path(save_directory, (f"{filename_prefix}-" if filename_prefix else "") + "vocab.txt")
        path.write_bytes("".join(f"{token}\n" for token in self._lines).encode())
        return (str(path),)

    def _tokenize(self, text: str) -> list[str]:
        if self.mode == "pinyin":
            return _pinyin_tokens(text)
        return list(text) if self.mode == "char" else [chr(byte) for byte in text.encode()]

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, UNKNOWN_ID)

    def _convert_id_to_token(self, index: int) -> str:
        if index == self.padding_id:
            return ""
        if not 0 <= index < len(self._lines):
            raise InputError(
                f"The id {index} is not in the vocabulary, which has the ids 0 to {len(self._lines) - 1}."
            )
        return self._lines[index]


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path.name} is no UTF-8 text; pass the vocab.txt of the checkpoint.") from error
    # `str.splitlines` would also split at characters that are tokens themselves.
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if lines[0] != " ":
        raise CheckpointError(
            f"The first line of {path.name} is {lines[0]!r} and not a single space, the token with id 0; pass the "
            "vocab.txt of the checkpoint as it was published."
        )
    return lines


def _pinyin_tokens(text: str) -> list[str]:
    # Their dictionaries take a while to load, and the other modes do without.
    import rjieba
    from pypinyin import Style, lazy_pinyin

    def syllables(characters: str) -> list[str]:
        # `errors=list`: what is not Chinese comes back one by one, or it would come back in one piece.
        return lazy_pinyin(characters, style=Style.TONE3, tone_sandhi=True, errors=list)

    tokens: list[str] = []
    for word in rjieba.cut(text.translate(_REPLACED)):
        if word.isascii():
            if tokens and len(word) > 1 and tokens[-1] not in _OPEN:
                tokens.append(" ")
            tokens.extend(word)
            continue
        # The characters of a word decide each other's reading and tone, but only in words that are three bytes of
        # UTF-8 a character throughout: the original's test for Chinese.
        if len(word.encode()) == 3 * len(word):
            readings = syllables(word)
        else:
            readings = [syllables(char)[0] if _is_chinese(char) else char for char in word]
        for char, reading in zip(word, readings, strict=True):
            if _is_chinese(char):
                tokens.append(" ")
            tokens.append(reading)
    return tokens


def _is_chinese(char: str) -> bool:
    return "\u3100" <= char <= "\u9fff"
