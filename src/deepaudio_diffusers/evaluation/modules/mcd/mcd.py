# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Mel-cepstral distortion of synthesised speech in dB: plain, after warping, or weighted by lengths."""

import evaluate
import torch

from deepaudio_diffusers.evaluation.metric_info import VECTOR, metric_info
from deepaudio_diffusers.evaluation.spectral import mel_cepstral_distortion


DESCRIPTION = """Mel-cepstral distortion of synthesised speech in dB: plain, after warping, or weighted by lengths.

`predictions` and `references` are waveforms as lists of floats at `sampling_rate`; `mode` is `plain`, `dtw` or
`dtw_sl`. Gives `mcd`, the mean, and `mcds`.
"""
CITATION = "Chen et al., V2C: Visual voice cloning, CVPR 2022"


class MelCepstralDistortion(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=VECTOR, references=VECTOR)

    def _compute(self, predictions, references, sampling_rate: int, mode: str = "dtw_sl") -> dict:
        distortions = [
            mel_cepstral_distortion(torch.tensor(reference), torch.tensor(prediction), sampling_rate, mode)
            for prediction, reference in zip(predictions, references, strict=True)
        ]
        return {"mcd": sum(distortions) / len(distortions), "mcds": distortions}
