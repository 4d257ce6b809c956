# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether sounds begin when things move: AV-align, and the offset between sound and motion in seconds."""

import evaluate
import torch

from deepaudio_diffusers.evaluation.metric_info import TEXT, VECTOR, metric_info
from deepaudio_diffusers.evaluation.motion import av_align, measure_motion, motion_offset
from deepaudio_diffusers.evaluation.onsets import detect_onsets


DESCRIPTION = """Whether sounds begin when things move: AV-align, and the offset between sound and motion in seconds.

`predictions` are waveforms as lists of floats at `sampling_rate`, `references` paths of videos. Gives `av_align`,
`desync`, the mean size of the offsets, and `offsets`.
"""
CITATION = "Yariv et al., Diverse and aligned audio-to-video generation via text-to-video model adaptation, AAAI 2024"


class AVAlign(evaluate.Metric):
    """What `evaluate.load` finds here."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, CITATION, predictions=VECTOR, references=TEXT)

    def _compute(self, predictions, references, sampling_rate: int) -> dict:
        aligned, offsets = [], []
        for prediction, video in zip(predictions, references, strict=True):
            waveform, motion = torch.tensor(prediction), measure_motion(video)
            aligned.append(av_align(detect_onsets(waveform, sampling_rate), motion))
            offsets.append(motion_offset(waveform, sampling_rate, motion))
        mean_offset = sum(map(abs, offsets)) / len(offsets)
        return {"av_align": sum(aligned) / len(aligned), "desync": mean_offset, "offsets": offsets}
