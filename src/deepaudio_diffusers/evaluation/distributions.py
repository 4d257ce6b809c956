# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How alike two sets of clips are as sets, from what a network makes of each clip: Fréchet and kernel distance of
embeddings, Kullback-Leibler divergence and inception score of logits.

All through torchmetrics, in double precision.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch

from ..errors import InputError
from .optional import require


# Of the inception score, and of the permutation before; those of av-benchmark, which MMAudio reports.
INCEPTION_SPLITS = 10
INCEPTION_SEED = 2020
# Every process has all items already; torchmetrics would gather them once more, and count them twice.
ALONE = {"sync_on_compute": False}


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance of two sets of embeddings taken as Gaussian (Heusel et al., NeurIPS 2017).

    With the embeddings of VGGish it is known as FAD, with those of PANNs as FD.

    Args:
        first, second (`np.ndarray` of shape `(num_items, num_features)`): At least two items each.

    Raises:
        InputError: When the library is missing or shapes do not fit.
    """
    image = require("torchmetrics.image.fid", "The Fréchet distance")
    _check_pair(first, second, least=2)
    first, second = _in_joint_span(first.astype(np.float64), second.astype(np.float64))
    metric = image.FrechetInceptionDistance(feature=_identity(first.shape[1]), **ALONE).set_dtype(torch.float64)
    metric.update(torch.from_numpy(first), real=True)
    metric.update(torch.from_numpy(second), real=False)
    return metric.compute().item()


def _in_joint_span(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two sets in coordinates of the space that their differences span, in which their distance is the same: the time
    that it takes grows with the cube of the dimensions, of which networks have more than there may be items."""
    centre = np.concatenate([first, second]).mean(axis=0)
    first, second = first - centre, second - centre
    if len(first) + len(second) >= first.shape[1]:
        return first, second
    basis, _ = np.linalg.qr(np.concatenate([first, second]).T)
    return first @ basis, second @ basis


def kernel_distance(
    first: np.ndarray, second: np.ndarray, *, num_subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> float:
    """Kernel distance of two sets of embeddings (Bińkowski et al., "Demystifying MMD GANs", ICLR 2018): the mean, over
    random subsets, of the squared maximum mean discrepancy with a cubic kernel.

    Unlike the Fréchet distance it has no bias with few clips.

    Args:
        first, second (`np.ndarray` of shape `(num_items, num_features)`): At least two items each.
        num_subsets (`int`, defaults to 100): How many subsets are drawn.
        subset_size (`int`, defaults to 1000): How many items each has; all of the smaller set if it has fewer.
        seed (`int`, defaults to 0): Of the draws.

    Raises:
        InputError: When the library is missing or shapes do not fit.
    """
    image = require("torchmetrics.image.kid", "The kernel distance")
    _check_pair(first, second, least=2)
    with _quietly():
        metric = image.KernelInceptionDistance(
            feature=_identity(first.shape[1]),
            subsets=num_subsets,
            subset_size=min(subset_size, len(first), len(second)),
            **ALONE,
        ).set_dtype(torch.float64)
    metric.update(torch.from_numpy(first).double(), real=True)
    metric.update(torch.from_numpy(second).double(), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return metric.compute()[0].item()


def kl_divergence(reference_logits: np.ndarray, logits: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence of what is heard in a sound from what is heard in its reference, in nats:
    KL(reference || result), with probabilities by softmax.

    Args:
        reference_logits, logits (`np.ndarray` of shape `(num_items, num_labels)`): Row by row those of a pair.

    Raises:
        InputError: When the library is missing or shapes do not fit.
    """
    functional = require("torchmetrics.functional.regression", "The Kullback-Leibler divergence")
    _check_pair(reference_logits, logits, least=1)
    if len(reference_logits) != len(logits):
        raise InputError(f"{len(logits)} results and {len(reference_logits)} references do not make pairs.")
    first, second = (torch.from_numpy(each).double().log_softmax(-1) for each in (reference_logits, logits))
    return functional.kl_divergence(first, second, log_prob=True).item()


def inception_score(logits: np.ndarray, *, num_splits: int = INCEPTION_SPLITS, seed: int = INCEPTION_SEED) -> float:
    """Inception score (Salimans et al., NeurIPS 2016): how sure a classifier is of each sound, and how many sounds
    there are over all. The mean over splits of the shuffled set.

    Args:
        logits (`np.ndarray` of shape `(num_items, num_labels)`): What a classifier says of each sound.
        num_splits (`int`, defaults to 10): How many splits; as many as there are items if these are fewer.
        seed (`int`, defaults to 2020): Of the permutation, by NumPy's legacy generator, as av-benchmark has it.

    Raises:
        InputError: When the library is missing or the logits have another shape.
    """
    image = require("torchmetrics.image.inception", "The inception score")
    if logits.ndim != 2 or len(logits) == 0:
        raise InputError(f"`logits` has shape {logits.shape}; expected (num_items, num_labels).")
    shuffled = logits[np.random.RandomState(seed).permutation(len(logits))]
    num_splits = min(num_splits, len(shuffled))
    bounds = np.arange(num_splits + 1) * len(shuffled) // num_splits
    scores = []
    # torchmetrics shuffles and splits by itself, but in its own way; each split is a set of its own here.
    for start, end in pairwise(bounds):
        with _quietly():
            metric = image.InceptionScore(feature=_identity(logits.shape[1]), splits=1, **ALONE).set_dtype(
                torch.float64
            )
            metric.update(torch.from_numpy(shuffled[start:end]).double())
            scores.append(metric.compute()[0].item())
    return float(np.mean(scores))


def _identity(num_features: int) -> torch.nn.Module:
    """What torchmetrics takes for a network; the embeddings are there already."""
    identity = torch.nn.Identity()
    identity.num_features = num_features
    return identity


@contextmanager
def _quietly() -> Iterator[None]:
    """Without torchmetrics' warnings that embeddings need memory, and that the deviation of a single split is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _check_pair(first: np.ndarray, second: np.ndarray, least: int) -> None:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise InputError(f"Sets of shapes {first.shape} and {second.shape} do not fit each other.")
    if min(len(first), len(second)) < least:
        raise InputError(f"Sets of {len(first)} and {len(second)} items are too small; at least {least} are needed.")
