# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which items make up the batch of which step.

A batch depends on the seed and on its number alone, so a training that was broken off goes on exactly as it would
have, and several processes share the batches that one would have.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from ..errors import InputError


class StepBatches(Sampler[list[int]]):
    """
    Endless batches of indices: every item once an epoch, items of similar length together.

    Args:
        lengths (`Sequence[int]`): Length of each item, in any unit.
        batch_size (`int`): Items of a batch of one process.
        seed (`int`): Decides the order.
        first_batch (`int`, defaults to 0): Number of the first batch that is given out.
        rank, num_processes (`int`, defaults to 0 and 1): Which share of each batch this process gets; together they
            get batches of `batch_size * num_processes`.
        max_batch_length (`int`, *optional*): Items are dropped from the end of a batch until its number of items times
            its longest item is at most this, in the unit of `lengths`.
        bucket_batches (`int`, defaults to 8): How many batches are sorted by length together. 1 is no sorting.

    Raises:
        InputError: There are fewer items than a batch of all processes has, or an item longer than `max_batch_length`.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        first_batch: int = 0,
        rank: int = 0,
        num_processes: int = 1,
        max_batch_length: int | None = None,
        bucket_batches: int = 8,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.global_batch_size = batch_size * num_processes
        self.seed = seed
        self.first_batch = first_batch
        self.rank, self.num_processes = rank, num_processes
        self.max_batch_length = max_batch_length
        self.bucket_batches = bucket_batches
        if len(self.lengths) < self.global_batch_size:
            raise InputError(
                f"The training data has {len(self.lengths)} items for batches of {self.global_batch_size}; pass a "
                "smaller `--train_batch_size`, or more data."
            )
        if max_batch_length is not None and self.lengths.max() > max_batch_length:
            raise InputError(
                f"The longest item of the training data has {self.lengths.max()} frames, more than a batch may have "
                f"({max_batch_length}); leave it out, or allow larger batches."
            )

    @property
    def batches_per_epoch(self) -> int:
        """Batches until every item was seen once; what is left over at the end of an epoch is left out."""
        return len(self.lengths) // self.global_batch_size

    def __iter__(self) -> Iterator[list[int]]:
        batch = self.first_batch
        while True:
            epoch, position = divmod(batch, self.batches_per_epoch)
            for indices in self._epoch(epoch)[position:]:
                yield self._share(indices)
                batch += 1

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        """The batches of one epoch, for all processes together."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.lengths))[: self.batches_per_epoch * self.global_batch_size]
        size = self.global_batch_size * self.bucket_batches
        batches = []
        for start in range(0, len(order), size):
            bucket = order[start : start + size]
            if self.bucket_batches > 1:
                bucket = bucket[np.argsort(self.lengths[bucket], kind="stable")]
            batches += np.split(bucket, range(self.global_batch_size, len(bucket), self.global_batch_size))
        return [batches[i] for i in rng.permutation(len(batches))]

    def _share(self, indices: np.ndarray) -> list[int]:
        share = indices[self.rank :: self.num_processes]
        if self.max_batch_length is not None:
            # Sorted by length within a bucket, so the longest come last.
            share = share[np.argsort(self.lengths[share], kind="stable")]
            while len(share) * self.lengths[share[-1]] > self.max_batch_length:
                share = share[:-1]
        return share.tolist()
