"""Which examples each step of each process sees: a function of the seed and the epoch alone."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .permutation import Permutation

__all__ = ["ExampleOrder", "mixed_seed"]


LISTED_UP_TO = 2**24
"""Examples up to which a pass is a list, 8 bytes each; above it is computed (`Permutation`)."""


def mixed_seed(*parts: int) -> int:
    """A seed for torch's generators from several numbers.

    Example:
        >>> mixed_seed(0, 1) != mixed_seed(1, 0)
        True
    """
    # SeedSequence promises the same words in every version of numpy, and spreads seeds that lie
    # close together. To it a trailing zero is nothing, hence the length.
    words = np.random.SeedSequence((len(parts), *parts)).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


class ExampleOrder:
    """Permutations of the examples, laid end to end and cut into epochs of equally many steps.

    An epoch has as many steps as one pass over the examples takes, but at least `min_steps` and
    at most `max_steps`. Where passes and epochs differ in length, an epoch takes up where the
    one before left off, so no example is dropped, and none is seen n + 1 times before all others
    have been seen n times. The batches of `world` processes at a step are together the batch of
    one process with a `world` times larger batch.

    Args:
        examples: how many there are.
        batch_size: examples per step and process; fewer where there are not so many.
        world: number of processes.
        seed: of the permutations.
        min_steps: least steps of an epoch.
        max_steps: most steps of an epoch.

    Attributes:
        steps: optimiser steps of an epoch.
        batch_size: examples per step and process.

    Raises:
        ValueError: if there are fewer examples than processes.

    Example:
        >>> order = ExampleOrder(5, batch_size=2, min_steps=1)
        >>> order.steps, order.epoch(0).shape
        (3, torch.Size([3, 2]))
        >>> both = torch.cat([order.epoch(0).flatten(), order.epoch(1).flatten()])
        >>> sorted(both[:5].tolist()), sorted(both[5:10].tolist())
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        examples: int,
        batch_size: int,
        *,
        world: int = 1,
        seed: int = 0,
        min_steps: int = 50,
        max_steps: int = 1000,
    ) -> None:
        if examples < world:
            raise ValueError(
                f"there are {examples} training examples for {world} process(es), expected at "
                "least one each: use fewer devices or more data."
            )
        self.examples = examples
        self.world = world
        self.seed = seed
        self.batch_size = min(batch_size, examples // world)
        a_pass = math.ceil(examples / (self.batch_size * world))
        self.steps = min(max(a_pass, min_steps), max_steps)
        # Many epochs may lie in one pass over many examples.
        self._latest: tuple[int, Tensor] = (-1, torch.empty(0, dtype=torch.int64))

    def epoch(self, epoch: int, rank: int = 0) -> Tensor:
        """The examples of one process in one epoch, int64 [steps, batch_size]; both from 0."""
        length = self.steps * self.batch_size * self.world
        position, end = epoch * length, (epoch + 1) * length
        parts = []
        while position < end:
            number, first = divmod(position, self.examples)
            part = self._pass(number, first, first + end - position)
            parts.append(part)
            position += len(part)
        return torch.cat(parts)[rank :: self.world].reshape(self.steps, self.batch_size)

    def _pass(self, number: int, first: int, stop: int) -> Tensor:
        seed = mixed_seed(self.seed, number)
        if self.examples > LISTED_UP_TO:
            return torch.from_numpy(Permutation(self.examples, seed).part(first, stop))
        if self._latest[0] != number:
            generator = torch.Generator().manual_seed(seed)
            self._latest = (number, torch.randperm(self.examples, generator=generator))
        return self._latest[1][first:stop]
