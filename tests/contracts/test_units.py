"""Every exported unit and prior keeps the contract; a new one is picked up by being exported."""

from __future__ import annotations

import inspect

import pytest

import vneuron as vn
from vneuron import priors, units
from vneuron.testing import check_prior, check_unit

UNITS = [c for n in units.__all__ if issubclass(c := getattr(units, n), vn.AbstractUnit)]
PRIORS = [c for n in priors.__all__ if issubclass(c := getattr(priors, n), vn.AbstractPrior)]


def variants(unit: type[vn.AbstractUnit]) -> list[dict[str, object]]:
    """Every value of the options that a unit's constructor knows, one at a time."""
    known = inspect.signature(unit).parameters
    options: dict[str, tuple[object, ...]] = {
        "loc_features": (2,),
        "scale": ("input", "per_unit", "scalar"),
        "activity": ("mean", "sum", "scaled_sum", "raw"),
    }
    return [{name: v} for name, values in options.items() if name in known for v in values]


@pytest.mark.parametrize(
    ("unit", "options"),
    [(unit, options) for unit in UNITS for options in variants(unit)],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)
def test_unit(unit: type[vn.AbstractUnit], options: dict[str, object]) -> None:
    check_unit(lambda i, n, k: unit(i, n, latent_dim=k, **options))


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: prior.__name__)
@pytest.mark.parametrize("k", [1, 3])
def test_prior(prior: type[vn.AbstractPrior], k: int) -> None:
    sized = "units" in inspect.signature(prior).parameters
    made = prior(units=7, latent_dim=k) if sized else prior()
    check_prior(made, units=7, latent_dim=k)
    check_unit(
        lambda i, n, k: vn.GaussianUnits(
            i, n, latent_dim=k, prior=prior(units=n, latent_dim=k) if sized else prior()
        )
    )


def test_something_is_exported() -> None:
    assert {vn.GaussianUnits, vn.DeterministicUnits} <= set(UNITS)
    assert {vn.StandardNormal, vn.LearnedNormal} <= set(PRIORS)
