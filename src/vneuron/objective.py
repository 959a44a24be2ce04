"""The free energy: the one place where local terms are reduced."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .core import AbstractControl, LocalTerm, join_terms, units_by_name


def free_energy(nll: Tensor, terms: Iterable[LocalTerm], penalty: Tensor | float = 0.0) -> Tensor:
    """Mean over the batch of the negative log-likelihood and the weighted local KL.

    F = mean_b [ nll_b + Σ_terms Σ_j (β_j KL_bj + local nll_bj) ] + penalty. With the
    log-likelihood of one draw and β = 1 this is an unbiased estimate of a bound on −log p(y | x)
    (the sum of the local ELBOs of arXiv:2602.18250 with a shared likelihood). Everything is in
    nats per example: a likelihood over a window is *summed* over its steps, or β means something
    else.

    Args:
        nll: negative log-likelihood, [batch].
        terms: what `Collect` returned; a layer that was called twice counts twice.
        penalty: added as it is; see `penalties`.

    Returns:
        A scalar, nats per example.

    Raises:
        ValueError: if `nll` is not [batch], or a term has another batch.

    Example:
        >>> import vneuron as vn
        >>> model = vn.Collect(vn.GaussianUnits(3, 4, beta=0.5))
        >>> y, terms = model(torch.zeros(2, 3))
        >>> loss = free_energy(y.square().sum(-1), terms)
        >>> loss.shape
        torch.Size([])
    """
    if nll.ndim != 1:
        raise ValueError(
            f"nll has shape {tuple(nll.shape)}, expected [batch]: sum it over all axes but the "
            "batch, so that it is in nats per example as the KL is."
        )
    total = nll
    for term in terms:
        if term.kl.shape[0] != nll.shape[0]:
            raise ValueError(
                f"the term of {term.name!r} has a batch of {term.kl.shape[0]}, expected "
                f"{nll.shape[0]} as in nll: sum its KL over the axes that were folded into the "
                "batch."
            )
        total = total + term.kl @ term.beta.to(term.kl.dtype)
        if term.nll is not None:
            total = total + term.nll.sum(-1)
    return total.mean() + torch.as_tensor(penalty, dtype=total.dtype, device=total.device)


def penalties(model: nn.Module, terms: Iterable[LocalTerm]) -> Tensor | float:
    """What the controls attached to a model's units add to its free energy, nats per example.

    Call it where the terms are, so that it is differentiated with them. What a control adds
    depends on statistics over all processes and only linearly on this process's terms, so that
    averaging gradients over processes gives that of the whole batch.

    Args:
        model: the model that produced the terms, bare or wrapped.
        terms: what `Collect` returned; a layer that was called twice counts as one batch.

    Returns:
        A scalar tensor; 0.0 if no control is attached.

    Example:
        >>> import vneuron as vn
        >>> layer = vn.GaussianUnits(3, 4)
        >>> layer.controls.append(vn.EnergyBand(4))
        ModuleList(...)
        >>> model = vn.Collect(layer)
        >>> _, terms = model(torch.zeros(2, 3))
        >>> penalties(model, terms).shape
        torch.Size([])
    """
    layers = {name: unit for name, unit in units_by_name(model).items() if len(unit.controls) > 0}
    grouped: dict[str, list[LocalTerm]] = {}
    for term in terms:
        if term.name in layers:
            grouped.setdefault(term.name, []).append(term)
    total: Tensor | float = 0.0
    for name, group in grouped.items():
        term = join_terms(group)
        for control in layers[name].controls:
            if isinstance(control, AbstractControl):
                total = total + control.penalty(term)
    return total
