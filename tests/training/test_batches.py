# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which items make up which batch."""

from itertools import islice

import pytest

from deepaudio_diffusers import InputError
from deepaudio_diffusers.training.batches import StepBatches


LENGTHS = [10 + (7 * i) % 31 for i in range(50)]


def test_an_epoch_has_every_item_once():
    sampler = StepBatches(LENGTHS, batch_size=5, seed=0)
    epoch = list(islice(sampler, sampler.batches_per_epoch))
    assert sorted(index for batch in epoch for index in batch) == list(range(50))
    assert epoch != list(islice(StepBatches(LENGTHS, batch_size=5, seed=1), 10))


def test_batches_go_on_where_they_were_left():
    batches = list(islice(StepBatches(LENGTHS, batch_size=4, seed=3), 40))
    for first in (1, 11, 12, 13, 30):
        resumed = StepBatches(LENGTHS, batch_size=4, seed=3, first_batch=first)
        assert list(islice(resumed, 40 - first)) == batches[first:]


def test_processes_share_the_batches_of_one():
    alone = list(islice(StepBatches(LENGTHS, batch_size=6, seed=0), 20))
    shares = [
        list(islice(StepBatches(LENGTHS, batch_size=3, seed=0, rank=rank, num_processes=2), 20)) for rank in range(2)
    ]
    for whole, first, second in zip(alone, *shares, strict=True):
        assert sorted(first + second) == sorted(whole)


def test_items_of_similar_length_are_together():
    def padding(bucket_batches):
        batches = islice(StepBatches(LENGTHS, 5, seed=0, bucket_batches=bucket_batches), 10)
        return sum(5 * max(LENGTHS[i] for i in batch) - sum(LENGTHS[i] for i in batch) for batch in batches)

    assert padding(10) < padding(1) / 3


def test_long_batches_are_shortened():
    limit = 100
    for batch in islice(StepBatches(LENGTHS, 10, seed=0, max_batch_length=limit), 50):
        assert batch
        assert len(batch) * max(LENGTHS[i] for i in batch) <= limit


def test_too_little_data_is_refused():
    with pytest.raises(InputError, match="3 items for batches of 8"):
        StepBatches([1, 1, 1], batch_size=4, seed=0, num_processes=2)
    with pytest.raises(InputError, match="40 frames"):
        StepBatches([40, 1], batch_size=1, seed=0, max_batch_length=30)
