# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Text -> phones -> ids, by a lexicon, and when each of them sounds."""

import json
import re
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizer

from ..errors import CheckpointError, InputError
from .lexicon import read_lexicon, write_lexicon
from .phone_timing import PAUSE, PhoneStatistics, time_phones, time_phones_by_energy


STATISTICS = ("durations_in_s", "duration_spreads", "levels", "level_spreads")
_APOSTROPHES = str.maketrans({"\u2018": "'", "\u2019": "'"})
# A word, or a mark at which speakers pause. All other marks, such as quotes and hyphens, only separate words.
_WORD_OR_PAUSE = re.compile(r"(?P<word>\w+(?:'\w+)*)|[,.;:!?()\u2026\u2013\u2014]")


class PhoneTokenizer(PreTrainedTokenizer):
    r"""Looks up the phones of words, and places them on the frames of a mel spectrogram.

    The ids of a text are those of its words' phones; upper case counts as lower case, and pauses get no id. No token
    is added. [`~PhoneTokenizer.place`] gives the ids that [`F5TTSTransformer1DModel`] is trained with here, one for
    each frame; their id 0 is a pause.

    Args:
        lexicon_file (`str` or `Path`): `lexicon.txt`: a line for each word, with the word, a tabulator,
            and its phones with spaces between them. Lines can be added.
        phones_file (`str` or `Path`): `phones.json`: the phones in the order of their ids, and what is known about
            their durations and levels, as [`write_phone_statistics`] writes it.
        kwargs: Those of [`~transformers.PreTrainedTokenizer`].

    Raises:
        CheckpointError: If a file is not what it should be, or the lexicon has phones that `phones.json` lacks.
    """

    vocab_files_names = {"lexicon_file": "lexicon.txt", "phones_file": "phones.json"}
    model_input_names = ["input_ids"]

    def __init__(self, lexicon_file: str | Path, phones_file: str | Path, **kwargs):
        self.statistics = read_phone_statistics(phones_file)
        self._lexicon = {_normalise(word): phones for word, phones in read_lexicon(lexicon_file).items()}
        self._ids = {phone: i for i, phone in enumerate(self.statistics.phones)}
        for word, phones in self._lexicon.items():
            unknown = [phone for phone in phones if phone == PAUSE or phone not in self._ids]
            if unknown:
                raise CheckpointError(
                    f"{Path(lexicon_file).name} spells {word!r} with {', '.join(map(repr, unknown))}; the phones of "
                    f"{Path(phones_file).name} are {', '.join(self.statistics.phones[1:])}."
                )
        super().__init__(**kwargs)

    @property
    def vocab_size(self) -> int:
        """How many phones there are, the pause among them; the `vocab_size` of the network."""
        return len(self._ids)

    def get_vocab(self) -> dict[str, int]:
        """The id of each phone."""
        return dict(self._ids)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The phones with spaces between them.

        Args:
            tokens (`list[str]`): Phones.

        Returns:
            `str`: One line.
        """
        return " ".join(tokens)

    def unknown_words(self, text: str) -> list[str]:
        """Words that the lexicon lacks.

        Args:
            text (`str`): What is to be spoken.

        Returns:
            `list[str]`: Each word once, in the order of the text.
        """
        words = (match["word"] for match in _WORD_OR_PAUSE.finditer(_normalise(text)))
        return list(dict.fromkeys(word for word in words if word and word not in self._lexicon))

    def place(
        self, text: str, num_frames: int, frame_length_in_s: float, energy: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Which phone sounds in each frame.

        Args:
            text (`str`): What is spoken.
            num_frames (`int`): Frames of the speech.
            frame_length_in_s (`float`): Length of a frame: samples in a hop over samples per second.
            energy (`torch.Tensor` of shape `(num_frames,)`, *optional*):
                [`~deepaudio_diffusers.processing.audio.energy_contour`] of the speech. Phones and pauses go where it
                is as loud as they are. Without it, phones last as long as they do on average, scaled to the length,
                and pauses are only at both ends and at punctuation.

        Returns:
            `torch.Tensor` of shape `(num_frames,)`: int64 ids, on the CPU.

        Raises:
            InputError: If the lexicon lacks a word, the text has none or more phones than there are frames, a length
                is not positive, or `energy` is no contour of this length.
        """
        words = self._phones_of_words(text)
        if energy is None:
            return torch.from_numpy(time_phones(words, num_frames, frame_length_in_s, self.statistics))
        if not isinstance(energy, torch.Tensor) or energy.shape != (num_frames,):
            found = tuple(energy.shape) if isinstance(energy, torch.Tensor) else type(energy).__name__
            raise InputError(f"`energy` is {found}; expected a tensor of shape ({num_frames},), a value a frame.")
        contour = energy.detach().double().cpu().numpy()
        return torch.from_numpy(time_phones_by_energy(words, contour, frame_length_in_s, self.statistics))

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        """Writes `lexicon.txt` and `phones.json`.

        Args:
            save_directory (`str`): An existing folder.
            filename_prefix (`str`, *optional*): Stands before the names, with a hyphen.

        Returns:
            `tuple[str, ...]`: The paths of both files.
        """
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        lexicon_file, phones_file = (
            Path(save_directory, prefix + self.vocab_files_names[name]) for name in ("lexicon_file", "phones_file")
        )
        write_lexicon(lexicon_file, self._lexicon)
        write_phone_statistics(phones_file, self.statistics)
        return str(lexicon_file), str(phones_file)

    def _phones_of_words(self, text: str) -> list[list[str]]:
        """Phones of each word, and `["pau"]` where punctuation stands between two of them."""
        unknown = self.unknown_words(text)
        if unknown:
            raise InputError(
                f"`text` has words that the lexicon lacks: {', '.join(map(repr, unknown))}. Use other words, or add a "
                f"line for each to {self.vocab_files_names['lexicon_file']} in the folder of the tokenizer, "
                "with the word, a tabulator, and its phones with spaces between them, and load it again."
            )
        words: list[list[str]] = []
        for match in _WORD_OR_PAUSE.finditer(_normalise(text)):
            if match["word"]:
                words.append(self._lexicon[match["word"]])
            elif words and words[-1] != [PAUSE]:
                words.append([PAUSE])
        return words[:-1] if words and words[-1] == [PAUSE] else words

    def _tokenize(self, text: str) -> list[str]:
        return [phone for phones in self._phones_of_words(text) for phone in phones if phone != PAUSE]

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids[token]

    def _convert_id_to_token(self, index: int) -> str:
        if not 0 <= index < len(self._ids):
            raise InputError(f"The id {index} is not in the vocabulary, which has the ids 0 to {len(self._ids) - 1}.")
        return self.statistics.phones[index]


def write_phone_statistics(path: str | Path, statistics: PhoneStatistics) -> None:
    """Write `phones.json`: the phones in the order of their ids, and for each key of the statistics a list."""
    content = {"phones": list(statistics.phones)}
    content |= {name: getattr(statistics, name).tolist() for name in STATISTICS}
    Path(path).write_bytes((json.dumps(content, indent=2) + "\n").encode())


def read_phone_statistics(path: str | Path) -> PhoneStatistics:
    """Read `phones.json`.

    Raises:
        CheckpointError: If the file is none.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
        arrays = {name: np.array(content[name], dtype=np.float64) for name in STATISTICS}
        return PhoneStatistics(tuple(content["phones"]), **arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} does not hold the statistics of phones: {error}. Pass the phones.json of the checkpoint."
        ) from error


def _normalise(text: str) -> str:
    return text.lower().translate(_APOSTROPHES)
