# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""PaSST (Koutini et al., "Efficient training of audio transformers with Patchout", arXiv 2110.05069; original code:
kkoutini/PaSST and kkoutini/passt_hear21, both Apache-2.0).

When it does not train it is an Audio Spectrogram Transformer with other weights, another spectrogram, and positions
that are sums of one for the time and one for the frequency; so it is transformers' here, with the sums as positions.
"""

import warnings
from functools import lru_cache

import torch
import torch.nn.functional as F
from transformers import ASTConfig, ASTForAudioClassification
from transformers.audio_utils import mel_filter_bank

from ...processing.audio import check_waveform


SAMPLING_RATE = 32_000
N_FFT, WINDOW_LENGTH, HOP_LENGTH = 1024, 800, 320
NUM_MELS, MAX_FREQUENCY = 128, 15_000.0
PRE_EMPHASIS = 0.97
# Added to a power before its logarithm is taken.
POWER_OFFSET = 1e-5
# Only for the scale of the first layer.
MEL_MEAN, MEL_SCALE = -4.5, 5.0
# The head normalises with another one than the blocks.
HEAD_EPSILON = 1e-5


class PaSST(ASTForAudioClassification):
    """
    Tells what is heard in 10 s at 32 kHz.

    Args:
        config (`transformers.ASTConfig`): `max_length` are the frames that it hears, 1000 in the published network.
            `weights_name`, if there is one, is the name of published weights, which reports show.
    """

    def __init__(self, config: ASTConfig) -> None:
        super().__init__(config)
        self.classifier.layernorm.eps = HEAD_EPSILON

    @property
    def num_samples(self) -> int:
        """Samples of what it hears: 320,000 in the published network."""
        return self.config.max_length * HOP_LENGTH

    def listen(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell what is heard.

        Args:
            waveform (`torch.Tensor` of shape `(batch_size, num_samples)`): Floats in [-1, 1] at 32 kHz; what is longer
                than `num_samples` is cut, what is shorter continued by silence.

        Returns:
            `tuple[torch.Tensor, torch.Tensor]`: Embeddings `(batch_size, hidden_size)` and logits
            `(batch_size, num_labels)`.

        Raises:
            InputError: When the waveform has another shape or is not finite.
        """
        check_waveform("waveform", waveform, "(batch_size, num_samples)", 2)
        # A negative number of zeros cuts.
        whole = F.pad(waveform, (0, self.num_samples - waveform.shape[1]))
        embeddings = self.audio_spectrogram_transformer(log_mel(whole).to(self.device, self.dtype)).pooler_output
        return embeddings, self.classifier(embeddings)


def log_mel(waveform: torch.Tensor) -> torch.Tensor:
    """The mel spectrogram that PaSST sees, natural logarithms of powers, roughly normalised:
    `(batch_size, num_samples)` -> `(batch_size, num_frames, 128)`, in float64 on the CPU."""
    sound = waveform.cpu().double()
    sound = sound[:, 1:] - PRE_EMPHASIS * sound[:, :-1]
    # A window that is zero at both of its ends.
    window = torch.hann_window(WINDOW_LENGTH, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(sound, N_FFT, HOP_LENGTH, WINDOW_LENGTH, window, return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2)
    return ((power @ _mel_bands() + POWER_OFFSET).log() - MEL_MEAN) / MEL_SCALE


@lru_cache(maxsize=1)
def _mel_bands() -> torch.Tensor:
    """Equally high triangles in mel, `(513, 128)`."""
    with warnings.catch_warnings():
        # The lowest bands are narrower than the distance of two frequencies, so some are empty.
        warnings.simplefilter("ignore", UserWarning)
        bands = mel_filter_bank(
            N_FFT // 2 + 1,
            NUM_MELS,
            0.0,
            MAX_FREQUENCY,
            SAMPLING_RATE,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
    return torch.from_numpy(bands)
