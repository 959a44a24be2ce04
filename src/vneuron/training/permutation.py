"""A permutation of very many numbers that is computed where it is asked for, and stored nowhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Permutation"]

ROUNDS = 6
Words = npt.NDArray[np.uint64]


class Permutation:
    """A pseudo-random permutation of 0 to count − 1, by its seed.

    A Feistel network permutes the numbers of 2h bits, the smallest such range that holds all:
    (left, right) → (right, left ⊕ F(right)), whatever F is, and round after round. A number that
    lands beyond the count is permuted again until it does not (Black and Rogaway, "Ciphers with
    arbitrary finite domains", 2002: cycle walking), at most three times on average. A list of a
    billion numbers would take 8 GB.

    Args:
        count: how many numbers, at least 1.
        seed: which permutation.

    Example:
        >>> order = Permutation(10, seed=0)
        >>> sorted(order.part(0, 4).tolist() + order.part(4, 10).tolist())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.half = np.uint64(max(1, ((count - 1).bit_length() + 1) // 2))
        self._mask = np.uint64((1 << int(self.half)) - 1)
        # odd, so that a product with it loses nothing
        self._keys = np.random.SeedSequence(seed).generate_state(ROUNDS, np.uint64) | np.uint64(1)

    def part(self, first: int, stop: int) -> npt.NDArray[np.int64]:
        """Its values at `first` to `stop` − 1."""
        values = np.arange(first, min(stop, self.count), dtype=np.uint64)
        beyond = np.ones(len(values), dtype=bool)
        while beyond.any():
            values[beyond] = self._permuted(values[beyond])
            beyond = values >= self.count
        return values.astype(np.int64)

    def _permuted(self, values: Words) -> Words:
        left, right = values >> self.half, values & self._mask
        for key in self._keys:
            mixed = (right + key) * key
            mixed ^= mixed >> np.uint64(29)
            mixed *= np.uint64(0xBF58476D1CE4E5B9)
            left, right = right, left ^ ((mixed >> np.uint64(32)) & self._mask)
        return (left << self.half) | right
