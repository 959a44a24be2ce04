"""The conformance check of units: what the rest of the library relies on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from ..core import AbstractPrior, AbstractUnit, Collect, deterministic
from .checks import reload, require, require_close, require_same_state, require_shape

BuildUnit: TypeAlias = Callable[[int, int, int], AbstractUnit]

# Pairwise different, so that a swapped axis cannot pass by chance.
_BATCH, _IN, _UNITS, _K = 11, 5, 7, 3


def check_unit(build: BuildUnit, *, permutable: bool = True) -> None:
    """Check that a layer of units keeps the contract of `AbstractUnit`.

    Checked: shapes; that every named parameter receives a gradient; KL ≥ 0, as the prior computes
    it, and zero exactly where q = p; that reordering units reorders everything else alike; that
    draws follow the seed and have the stated mean and scale; `deterministic`; double precision;
    the term recorded inside `Collect`; refusal of misshapen features; `state_dict`, `deepcopy`
    and `repr`.

    Args:
        build: makes a layer from (in_features, units, latent_dim), freshly initialised.
        permutable: whether the units are interchangeable: each tensor of the state then has them
            (or units · k) first, or not at all.

    Raises:
        AssertionError: saying what is broken.

    Example:
        >>> import vneuron as vn
        >>> check_unit(lambda i, u, k: vn.GaussianUnits(i, u, latent_dim=k, scale="per_unit"))
    """
    with _seeded():
        for k in (1, _K):
            _check_shapes(build(_IN, _UNITS, k), k)
            _check_gradients(build(_IN, _UNITS, k))
            _check_term(build(_IN, _UNITS, k))
            _check_draws(build(_IN, _UNITS, k))
            _check_double(build(_IN, _UNITS, k))
            _check_copies(partial(build, _IN, _UNITS, k))
            if build(_IN, _UNITS, k).variational:
                _check_divergence(build(_IN, _UNITS, k))
            if permutable:
                _check_permutation(build(_IN, _UNITS, k), k)
        _check_refusal(build(_IN, _UNITS, 1))


def check_prior(prior: AbstractPrior, units: int, latent_dim: int) -> None:
    """Check that a prior's KL is a divergence from the moments that it states.

    Args:
        prior: the prior.
        units: number of units that it is for.
        latent_dim: k.

    Raises:
        AssertionError: saying what is broken.

    Example:
        >>> import vneuron as vn
        >>> check_prior(vn.StandardNormal(), units=3, latent_dim=2)
    """
    shape = (1, units, latent_dim)
    with torch.no_grad():
        loc, scale = (moment.expand(shape) for moment in prior.moments())
        require((scale > 0).all(), "the prior's scale is not positive")
        at_prior = prior.kl(loc, scale)
        require_shape("prior.kl", at_prior, shape[:2])
        require_close("KL at q = p", at_prior, torch.zeros_like(at_prior))
        for q in ((loc + 0.1 * scale, scale), (loc, 1.1 * scale), (loc, 0.9 * scale)):
            require((prior.kl(*q) > 1e-4).all(), "KL is zero although q differs from p")


@contextmanager
def _seeded() -> Iterator[None]:
    """A fixed seed inside; the caller's random state after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _features(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(_BATCH, _IN, dtype=dtype)


def _check_shapes(unit: AbstractUnit, k: int) -> None:
    h = _features()
    latent = unit.infer(h)
    for label in ("sample", "loc", "scale"):
        require_shape(f"latent.{label}", getattr(latent, label), (_BATCH, _UNITS, k))
    require_shape("latent.kl", latent.kl, (_BATCH, _UNITS))
    require_shape("beta", unit.beta, (_UNITS,))
    raw = (_BATCH, _UNITS, k)
    require_shape("output", unit(h), raw if unit.activity == "raw" else raw[:2])
    require((unit.units, unit.latent_dim, unit.in_features) == (_UNITS, k, _IN), "sizes are lost")
    require(type(unit).__name__ in repr(unit), "repr does not name the class")
    require(f"units={_UNITS}" in repr(unit), "repr does not state the number of units")


def _check_gradients(unit: AbstractUnit) -> None:
    latent = unit.infer(_features())
    (latent.sample.square().sum() + latent.kl.sum()).backward()  # type: ignore[no-untyped-call]
    for name, parameter in unit.named_parameters():
        gradient = torch.zeros(1) if parameter.grad is None else parameter.grad
        require((gradient != 0).any(), f"no gradient reaches {name}")
        require(torch.isfinite(gradient).all(), f"the gradient of {name} is not finite")


def _check_term(unit: AbstractUnit) -> None:
    model = Collect(torch.nn.Sequential(unit))
    _, terms = model(_features())
    require(len(terms) == 1, f"one call recorded {len(terms)} terms, expected 1")
    term = terms[0]
    require(term.name == "0" == unit.name, f"the term is named {term.name!r}, expected '0'")
    require_close("the term's beta", term.beta, unit.beta)
    require(term.kl.requires_grad or not unit.variational, "the recorded KL carries no gradient")
    unit.infer(_features())  # records nothing, and needs no boundary
    with torch.no_grad():
        require(len(model(_features())[1]) == 1, "nothing is recorded without gradients")


@torch.no_grad()
def _check_draws(unit: AbstractUnit) -> None:
    h = _features()
    torch.manual_seed(1)
    first = unit.infer(h).sample
    torch.manual_seed(1)
    require_close("a draw from the same seed", unit.infer(h).sample, first)
    with deterministic(unit):
        mean = unit.infer(h)
    require_close("the sample under deterministic()", mean.sample, mean.loc)
    if unit.variational:
        require((mean.scale > 0).all(), "a scale is not positive")
        require(not torch.equal(unit.infer(h).sample, first), "two draws are the same")
        for mode in (unit.train(), unit.eval()):
            require(not torch.equal(mode.infer(h).sample, mean.loc), "the unit does not draw")
        _check_moments(unit, h[:1])


def _check_moments(unit: AbstractUnit, h: Tensor) -> None:
    """Mean and spread of draws against loc and scale, within five standard errors."""
    n = 4000
    latent = unit.infer(h.expand(n, -1))
    error = (latent.sample - latent.loc) / latent.scale
    require((error.mean(0).abs() < 5 / math.sqrt(n)).all(), "draws are not centred on loc")
    spread = error.square().mean(0) - 1.0
    require((spread.abs() < 5 * math.sqrt(2 / n)).all(), "draws do not have the stated scale")


def _check_double(unit: AbstractUnit) -> None:
    unit = unit.double()
    for label, tensor in unit.infer(_features(torch.float64))._asdict().items():
        require(tensor.dtype == torch.float64, f"latent.{label} is {tensor.dtype} after .double()")


def _check_copies(build: Callable[[], AbstractUnit]) -> None:
    unit, h = build(), _features()
    unit(h)  # what a forward pass leaves behind must not keep the unit from being copied
    copies = {"deepcopy": copy.deepcopy(unit), "state_dict": reload(unit, build())}
    for label, twin in copies.items():
        require_same_state(label, twin, unit)
        with deterministic(twin), deterministic(unit):
            require_close(f"the output after {label}", twin(h), unit(h), rtol=0, atol=0)
    shared = {p.data_ptr() for p in unit.parameters()} & {
        p.data_ptr() for p in copies["deepcopy"].parameters()
    }
    require(not shared, "a deepcopy shares parameters with its original")


@torch.no_grad()
def _check_divergence(unit: AbstractUnit) -> None:
    latent = unit.infer(10 * _features())
    require((latent.kl >= 0).all(), f"KL is negative: {latent.kl.min().item():.3g}")
    require(torch.isfinite(latent.kl).all(), "KL is not finite")
    prior = getattr(unit, "prior", None)
    if isinstance(prior, AbstractPrior):
        require_close("KL and prior.kl", latent.kl, prior.kl(latent.loc, latent.scale))
        check_prior(prior, unit.units, unit.latent_dim)


@torch.no_grad()
def _check_permutation(unit: AbstractUnit, k: int) -> None:
    h, order = _features(), torch.randperm(_UNITS)
    permuted = copy.deepcopy(unit)
    permuted.load_state_dict(
        {name: _permute(tensor, order, k) for name, tensor in unit.state_dict().items()}
    )
    with deterministic(unit), deterministic(permuted):
        before, after = unit.infer(h), permuted.infer(h)
    for label, tensor in before._asdict().items():
        require_close(
            f"latent.{label} of reordered units", after._asdict()[label], tensor[:, order]
        )


def _permute(tensor: Tensor, order: Tensor, k: int) -> Tensor:
    """Reorder the first axis where it runs over units, or over units and then k."""
    if tensor.ndim and tensor.shape[0] in (_UNITS, _UNITS * k):
        return tensor.reshape(_UNITS, -1)[order].reshape(tensor.shape)
    return tensor


def _check_refusal(unit: AbstractUnit) -> None:
    for shape in ((_IN,), (2, 3, _IN), (_BATCH, _IN + 1)):
        try:
            unit.infer(torch.zeros(shape))
        except ValueError:
            continue
        raise AssertionError(f"features of shape {shape} are not refused with a ValueError")
