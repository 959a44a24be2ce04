"""Means and extremes over a batch that is spread over processes."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor


def distributed() -> bool:
    """Whether there are other processes to reduce with.

    Example:
        >>> distributed()
        False
    """
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def means(sums: dict[str, Tensor], counts: dict[str, Tensor | int]) -> dict[str, Tensor]:
    """Each sum over its count, both over all processes by one reduction; 0/0 is NaN.

    Args:
        sums: sums over this process's rows.
        counts: numbers of those rows, by the same names.

    Example:
        >>> means({"a": torch.tensor([1.0, 3.0])}, {"a": 2})["a"]
        tensor([0.5000, 1.5000])
    """
    if not distributed():
        return {name: value / counts[name] for name, value in sums.items()}
    device = next(iter(sums.values())).device
    rows = [torch.as_tensor(counts[name], dtype=torch.float32, device=device) for name in sums]
    flat = torch.cat([torch.stack(rows), *(value.flatten() for value in sums.values())])
    torch.distributed.all_reduce(flat)
    shapes = [value.shape for value in sums.values()]
    totals = torch.split(flat[len(rows) :], [shape.numel() for shape in shapes])
    return {
        name: (total / flat[i]).view(shape)
        for i, (name, total, shape) in enumerate(zip(sums, totals, shapes, strict=True))
    }


class BatchSummary:
    """Means and extremes over the first axis of a batch that is spread over processes.

    Its making sends what the others need, by one gather; reading waits for what they send. What
    is done between the two, a backward pass say, hides the time that messages take.

    Args:
        values: what is averaged, in single precision; rows first, of the same number in each.
        bounded: what smallest and largest are wanted of; rows first.

    Example:
        >>> spread = torch.tensor([[2.0], [0.5]])
        >>> summary = BatchSummary({"a": torch.tensor([[1.0], [3.0]])}, spread)
        >>> summary.means()["a"], summary.extremes()
        (tensor([2.]), (tensor([0.5000]), tensor([2.])))
    """

    @torch.no_grad()
    def __init__(self, values: dict[str, Tensor], bounded: Tensor) -> None:
        bounded = bounded.float()
        # aminmax(dim=0) takes five to twelve times as long as these two together.
        self._extremes = bounded.amin(0), bounded.amax(0)
        self._waits_for: torch.distributed.Work | None = None
        if not distributed():
            self._means = {n: value.mean(0, dtype=torch.float32) for n, value in values.items()}
            return
        self._means = {n: value.sum(0, dtype=torch.float32) for n, value in values.items()}
        count = self._extremes[0].new_full((1,), bounded.shape[0])
        sums = [value.flatten() for value in self._means.values()]
        row = torch.cat([count, *sums, *(value.flatten() for value in self._extremes)])
        self._rows = row.new_empty(torch.distributed.get_world_size(), row.numel())
        self._waits_for = torch.distributed.all_gather(list(self._rows), row, async_op=True)

    def means(self) -> dict[str, Tensor]:
        """The mean of each value over the rows of all processes."""
        self._receive()
        return self._means

    def extremes(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest over the rows of all processes."""
        self._receive()
        return self._extremes

    def _receive(self) -> None:
        if self._waits_for is None:
            return
        self._waits_for.wait()
        self._waits_for = None
        shapes = [value.shape for value in (*self._means.values(), *self._extremes)]
        parts = torch.split(self._rows, [1, *(shape.numel() for shape in shapes)], dim=1)
        count, *sums = (part.sum(0) for part in parts[:-2])
        named = zip(self._means, sums, shapes, strict=False)
        self._means = {name: (total / count).view(shape) for name, total, shape in named}
        low, high = parts[-2].amin(0), parts[-1].amax(0)
        self._extremes = low.view(shapes[-2]), high.view(shapes[-1])
