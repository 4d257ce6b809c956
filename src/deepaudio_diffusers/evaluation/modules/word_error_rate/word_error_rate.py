# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Word and character error rates of transcripts, over the corpus and as mean of utterances."""

import evaluate
import numpy as np

from deepaudio_diffusers.evaluation.metric_info import TEXT, metric_info
from deepaudio_diffusers.evaluation.words import corpus_error_rate, error_counts, mean_error_rate


DESCRIPTION = """Word and character error rates of transcripts, over the corpus and as mean of utterances.

`predictions` are what was heard, `references` what should be said; punctuation and case do not count. Gives `wer`,
`wer_mean`, `cer` and `cer_mean`.
"""
CITATION = "Morris et al., From WER and RIL to MER and WIL, Interspeech 2004; counts by jiwer"


class WordErrorRate(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=TEXT, references=TEXT)

    def _compute(self, predictions, references) -> dict:
        counts = [error_counts(text, heard) for heard, text in zip(predictions, references, strict=True)]
        words = np.array([(count["word_errors"], count["words"]) for count in counts])
        characters = np.array([(count["character_errors"], count["characters"]) for count in counts])
        return {
            "wer": corpus_error_rate(words),
            "wer_mean": mean_error_rate(words),
            "cer": corpus_error_rate(characters),
            "cer_mean": mean_error_rate(characters),
        }
