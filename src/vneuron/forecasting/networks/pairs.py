"""The rows that a network reads of a context: its last ones, and the same some steps before."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rows(NamedTuple):
    """Windows, or windows followed by their predecessors.

    Attributes:
        context: [batch, rows], or [2 · batch, rows].
        observed: mask, None where all is observed.
        first: where a window's predecessor holds no known value, [batch]; None where all do.
    """

    context: Tensor
    observed: Tensor | None
    first: Tensor | None


def last_rows(context: Tensor, observed: Tensor | None, rows: int) -> tuple[Tensor, Tensor | None]:
    """The last rows of a context and of its mask.

    Raises:
        ValueError: there are fewer.

    Example:
        >>> last_rows(torch.tensor([[1.0, 2.0, 3.0]]), None, 2)
        (tensor([[2., 3.]]), None)
    """
    if context.shape[-1] < rows:
        raise ValueError(
            f"the context has {context.shape[-1]} rows, expected at least {rows}: cut windows "
            "with the network's lookback"
        )
    return context[:, -rows:], None if observed is None else observed[:, -rows:]


def pair_rows(context: Tensor, observed: Tensor | None, rows: int, lag: int) -> Rows:
    """The last rows of each context, then the same number of rows `lag` steps before.

    One batch for both, so that a network runs once. The earlier window ends `lag` rows before the
    context does: it has seen nothing but what was known by then.

    Args:
        context: at least rows + lag, [batch, length].
        observed: mask of the same shape.
        rows: of each window.
        lag: steps between the two.

    Raises:
        ValueError: the context is too short.

    Example:
        >>> pair_rows(torch.tensor([[1.0, 2.0, 3.0]]), None, rows=2, lag=1).context
        tensor([[2., 3.],
                [1., 2.]])
    """
    context, observed = last_rows(context, observed, rows + lag)
    both = torch.cat([context[:, lag:], context[:, :rows]])
    if observed is None:
        return Rows(both, None, None)
    earlier = observed[:, :rows]
    return Rows(both, torch.cat([observed[:, lag:], earlier]), ~earlier.any(-1))
