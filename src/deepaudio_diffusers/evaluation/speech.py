# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether speech can be understood: the word error rate of a recogniser that knows the words but not their order.

The recogniser is pocketsphinx (Huggins-Daines et al., ICASSP 2006), whose models come with its wheel. It may hear any
sequence of the words of a vocabulary: a grammar of the sentences would guess words that nobody can hear.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from ..errors import InputError
from ..processing.audio import check_waveform, resample
from .optional import require


SAMPLING_RATE = 16_000
# Of the loudest sample that the recogniser is given.
PEAK = 0.6
# Silence before and after, in which it finds out how loud nothing is; with noise, as none is unknown to it.
PADDING_IN_S = 0.2
NOISE_LEVEL = 2e-4
# Beams so narrow that garbled speech, where every word is likely, takes little longer than clear speech.
# Pauses are likely (`silprob`) and further words are not (`wip`), else "eight" and "two" are heard in pauses; both are
# chosen on true validation speech. With "batch", what was heard before does not change what is heard.
DECODER_SETTINGS = {
    "beam": 1e-40,
    "pbeam": 1e-40,
    "wbeam": 1e-25,
    "maxhmmpf": 2000,
    "topn": 2,
    "silprob": 0.5,
    "wip": 1e-3,
    "cmn": "batch",
    "loglevel": "FATAL",
}


# The only phone of flite that the recogniser has no model of.
SCHWA = {"ax": "ah"}


class WordLoopRecognizer:
    """
    Hears any sequence of the words of a vocabulary.

    Args:
        vocabulary (sequence of `str`): Lower-case English words.
        pronunciations (mapping of `str` to sequences of `str`, *optional*): Phones in the alphabet of flite, for words
            that the dictionary of pocketsphinx lacks; it is preferred.

    Raises:
        InputError: When the library is missing, or a word has no known pronunciation.
    """

    def __init__(
        self, vocabulary: Sequence[str], pronunciations: Mapping[str, Sequence[str]] = MappingProxyType({})
    ) -> None:
        pocketsphinx = require("pocketsphinx", "Recognising speech")
        self._decoder = pocketsphinx.Decoder(lm=None, **DECODER_SETTINGS)
        missing = [word for word in vocabulary if self._decoder.lookup_word(word) is None]
        unknown = [word for word in missing if word not in pronunciations]
        if unknown or not vocabulary:
            raise InputError(
                f"`vocabulary` must be words that pocketsphinx or `pronunciations` has; they lack: {unknown}."
            )
        for word in missing:
            phones = (SCHWA.get(phone, phone).upper() for phone in pronunciations[word])
            self._decoder.add_word(word, " ".join(phones), False)
        words = " | ".join(vocabulary)
        self._decoder.add_jsgf_string("loop", f"#JSGF V1.0;\ngrammar loop;\npublic <sentence> = ( {words} )+ ;\n")
        self._decoder.activate_search("loop")

    def transcribe(self, waveform: torch.Tensor, sampling_rate: int) -> list[str]:
        """The words that are heard.

        Args:
            waveform (`torch.Tensor` of shape `(num_samples,)`): Speech at `sampling_rate`.
            sampling_rate (`int`): Samples per second.

        Raises:
            InputError: When the waveform has another shape or is not finite.
        """
        check_waveform("waveform", waveform, "(num_samples,)", 1)
        speech = resample(waveform, sampling_rate, SAMPLING_RATE).double().cpu().numpy()
        speech = speech * (PEAK / max(np.abs(speech).max(), 1e-4))
        speech = np.pad(speech, round(PADDING_IN_S * SAMPLING_RATE))
        speech += np.random.default_rng(0).normal(0, NOISE_LEVEL, len(speech))
        self._decoder.start_utt()
        self._decoder.process_raw((speech * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        # Further pronunciations of a word have a number in brackets.
        return [] if heard is None else re.sub(r"\(\d+\)", "", heard.hypstr).split()


def shuffled(num_items: int, seed: int = 0) -> np.ndarray:
    """A permutation without a fixed point: which other item stands in for each, where chance is measured.

    Raises:
        InputError: With less than two items.
    """
    if num_items < 2:
        raise InputError(f"`num_items` is {num_items}; nothing can stand in for a single item.")
    order = np.random.default_rng(seed).permutation(num_items)
    others = np.empty(num_items, dtype=np.int64)
    others[order] = np.roll(order, 1)
    return others
