# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Mean cosine of embeddings of results and references: speakers, emotions, or sounds and texts (CLAP)."""

import evaluate
import numpy as np

from deepaudio_diffusers.evaluation.metric_info import VECTOR, metric_info
from deepaudio_diffusers.evaluation.scorers import cosine


DESCRIPTION = """Mean cosine of embeddings of results and references: speakers, emotions, or sounds and texts (CLAP).

`predictions` and `references` are embeddings, one list of floats for each clip. Gives `similarity`, the mean, and
`similarities`.
"""
CITATION = "Chen et al., WavLM: large-scale self-supervised pre-training for full stack speech processing, 2022"


class EmbeddingSimilarity(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=VECTOR, references=VECTOR)

    def _compute(self, predictions, references) -> dict:
        pairs = zip(predictions, references, strict=True)
        cosines = [cosine(np.array(first), np.array(second)) for first, second in pairs]
        return {"similarity": sum(cosines) / len(cosines), "similarities": cosines}
