# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The published weights that the tables of papers are computed with, as data."""

from dataclasses import dataclass


PANNS_RECORD = "https://zenodo.org/records/3987831/files"


@dataclass(frozen=True)
class PublishedWeights:
    """
    A file of weights.

    Args:
        network (`str`): What it is of, in words.
        file_name (`str`): What its publisher calls it.
        url (`str`): Where it is.
        size (`str`): How large it is.
        sha256 (`str`): The beginning of its SHA-256 sum.
        licence (`str`): Of the weights.
    """

    network: str
    file_name: str
    url: str
    size: str
    sha256: str
    licence: str

    @property
    def name(self) -> str:
        """What reports call the weights."""
        return self.file_name.rpartition(".")[0]


# PyTorch Hub's rule for file names gives the sum of VGGish; the others are those of files whose MD5 sum was Zenodo's,
# and of the release of PaSST.
PUBLISHED_WEIGHTS = {
    "panns-16k": PublishedWeights(
        "Cnn14 of PANNs for 16 kHz",
        "Cnn14_16k_mAP=0.438.pth",
        f"{PANNS_RECORD}/Cnn14_16k_mAP%3D0.438.pth",
        "359 MB",
        "e2ee543a27919542",
        "CC BY 4.0",
    ),
    "panns-32k": PublishedWeights(
        "Cnn14 of PANNs for 32 kHz",
        "Cnn14_mAP=0.431.pth",
        f"{PANNS_RECORD}/Cnn14_mAP%3D0.431.pth",
        "327 MB",
        "0dc499e40e9761ef",
        "CC BY 4.0",
    ),
    "vggish": PublishedWeights(
        "VGGish",
        "vggish-10086976.pth",
        "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        "288 MB",
        "10086976",
        "Apache-2.0, as the code that it belongs to",
    ),
    "passt": PublishedWeights(
        "PaSST",
        "passt-s-f128-p16-s10-ap.476-swa.pt",
        "https://github.com/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
        "345 MB",
        "302903fa8c4aee81",
        "Apache-2.0, as the code that it belongs to",
    ),
}
