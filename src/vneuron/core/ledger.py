"""The ledger: how units deep inside a model hand their local terms to the objective.

Units call `record`; a `Collect` around the model opens a *boundary*, and what was recorded inside
comes out of it as an ordinary output. Without a boundary `record` does nothing, so a model with
units also runs as any other module.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class LocalTerm(NamedTuple):
    """What one call of one layer of units contributes to the free energy.

    Nothing is reduced: sums over units, means over the batch and the weight β belong to
    `vneuron.objective`.

    Attributes:
        name: the layer's path inside the collected model.
        kl: [batch, units], nats, summed over the k latent dimensions.
        sample: z, [batch, units, k].
        loc: posterior mean, [batch, units, k].
        scale: posterior standard deviation, [batch, units, k].
        beta: weight of each unit's KL when the term was recorded, [units].
        nll: negative log-likelihood of the units' own input under their local decoder, nats,
            [batch, units], or [batch, 1] if they share it; None without a local decoder.
        previous_loc: posterior mean one window before, detached, [batch, units, k]; NaN where an
            example has no predecessor, None where none has.
        previous_scale: its standard deviation, likewise.

    A layer that is applied at several positions of each example has more rows than the batch in
    `sample`, `loc` and `scale`; `kl` is then summed over the positions.
    """

    name: str
    kl: Tensor
    sample: Tensor
    loc: Tensor
    scale: Tensor
    beta: Tensor
    nll: Tensor | None = None
    previous_loc: Tensor | None = None
    previous_scale: Tensor | None = None


def join_terms(terms: Sequence[LocalTerm]) -> LocalTerm:
    """One term with the rows of several of the same layer; name and β are those of the first.

    Example:
        >>> one = torch.ones(2, 1)
        >>> term = LocalTerm("a", one, one[..., None], one[..., None], one[..., None], one[0])
        >>> join_terms([term, term]).kl.shape
        torch.Size([4, 1])
    """
    first = terms[0]
    if len(terms) == 1:
        return first
    return LocalTerm(
        first.name,
        torch.cat([term.kl for term in terms]),
        torch.cat([term.sample for term in terms]),
        torch.cat([term.loc for term in terms]),
        torch.cat([term.scale for term in terms]),
        first.beta,
        _join([term.nll for term in terms]),
        _join([term.previous_loc for term in terms]),
        _join([term.previous_scale for term in terms]),
    )


def _join(parts: list[Tensor | None]) -> Tensor | None:
    """The rows of all; None where only some have them, since they belong to no joint batch."""
    present = [part for part in parts if part is not None]
    return torch.cat(present) if len(present) == len(parts) else None


class _Frame(NamedTuple):
    """One open boundary. `terms` is None where recording is muted."""

    terms: list[LocalTerm] | None
    tracks_gradients: bool


class _Stack(threading.local):
    # Thread-local and not a ContextVar: Dynamo traces the former and refuses the latter under
    # fullgraph. It also keeps models that run in several threads apart.
    def __init__(self) -> None:
        self.frames: list[_Frame] = []


_stack = _Stack()


def record(term: LocalTerm) -> None:
    """Hand a term to the innermost open boundary; without one, do nothing.

    Args:
        term: the term to keep.

    Raises:
        RuntimeError: if the boundary tracks gradients but this call does not. That happens under
            reentrant activation checkpointing, where the KL would silently lose its gradient.

    Example:
        >>> one = torch.ones(1, 1)
        >>> record(LocalTerm("alone", one, one[..., None], one[..., None], one[..., None], one[0]))
    """
    if not _stack.frames:
        return
    frame = _stack.frames[-1]
    if frame.terms is None:
        return
    if frame.tracks_gradients and not torch.is_grad_enabled():
        raise RuntimeError(
            f"unit {term.name!r} was run without gradients inside a Collect that tracks them, so "
            "its KL could not be trained. Use torch.utils.checkpoint.checkpoint(..., "
            "use_reentrant=False), or, if the call is not meant to count, wrap it in "
            "vneuron.muted()."
        )
    frame.terms.append(term)


@contextmanager
def muted() -> Iterator[None]:
    """Keep the calls inside from recording.

    For inner loops of which only the last result counts, and for measurements on the side.

    Example:
        >>> import vneuron as vn
        >>> class Twice(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer = vn.GaussianUnits(3, 2)
        ...     def forward(self, x):
        ...         with vn.muted():
        ...             self.layer(x)
        ...         return self.layer(x)
        >>> _, terms = vn.Collect(Twice())(torch.zeros(4, 3))
        >>> len(terms)
        1
    """
    _stack.frames.append(_Frame(None, False))
    try:
        yield
    finally:
        _stack.frames.pop()


@contextmanager
def boundary() -> Iterator[list[LocalTerm]]:
    """Open a boundary and yield the list that terms are recorded into.

    For `Collect` alone: a boundary that is still open during backward would hear activation
    checkpointing recompute the forward pass, and count its terms twice.
    """
    terms: list[LocalTerm] = []
    _stack.frames.append(_Frame(terms, torch.is_grad_enabled()))
    try:
        yield terms
    finally:
        _stack.frames.pop()
