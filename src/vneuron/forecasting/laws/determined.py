"""What to say of a sum that is told, and determined already by what is known."""

from __future__ import annotations

from torch import Tensor

AGREES = 1e-9
"""Of its terms' size, how far a sum may lie from what is known and still say the same."""


def fault_of_sum(told: Tensor, terms: Tensor) -> str:
    """Whether a sum repeats or contradicts what is known.

    Args:
        told: the value that it is said to have.
        terms: weights times known values, [H].

    Example:
        >>> import torch
        >>> fault_of_sum(torch.tensor(4.0), torch.ones(3))[:39]
        'an equality contradicts what is known: '
        >>> fault_of_sum(torch.tensor(3.0), torch.ones(3))[:28]
        'an equality says nothing new'
    """
    value, found = float(told), float(terms.sum())
    if abs(value - found) > AGREES * max(float(terms.abs().sum()), abs(value)):
        return (
            f"an equality contradicts what is known: it says that a sum is {value:.9g}, which "
            f"what is known determines to be {found:.9g}: correct one of them"
        )
    return (
        "an equality says nothing new: what is known determines its sum already; leave "
        "out sums of steps that are observed, and sums of other sums"
    )
