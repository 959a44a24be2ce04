"""The kit catches units that break their contract: each defect, by the sentence that names it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vneuron as vn
from vneuron.testing import check_prior, check_unit


class Broken(vn.AbstractUnit):
    """A plain unit that a subclass spoils in one place."""

    def __init__(self, in_features: int, units: int, latent_dim: int) -> None:
        super().__init__(in_features, units, latent_dim)
        self.loc = nn.Linear(in_features, units * latent_dim)
        self.raw = nn.Parameter(torch.zeros(units, latent_dim))
        self.prior = vn.StandardNormal()

    def infer(self, h: Tensor) -> vn.Latent:
        self.check_features(h)
        loc = self.loc(h).view(-1, self.units, self.latent_dim)
        scale = self.raw.exp().expand_as(loc)
        sample = loc if self.deterministic else loc + scale * torch.randn_like(loc)
        return self.spoil(h, vn.Latent(sample, loc, scale, self.prior.kl(loc, scale)))

    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        return latent


class SummedKL(Broken):
    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        return latent._replace(kl=latent.kl.sum(-1))


class DetachedScale(Broken):
    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        loc, scale = latent.loc, latent.scale.detach()
        sample = loc if self.deterministic else loc + scale * torch.randn_like(loc)
        return vn.Latent(sample, loc, scale, self.prior.kl(loc, scale))


class VarianceAsScale(Broken):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        nn.init.constant_(self.raw, -1.0)

    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        noisy = latent.loc + latent.scale.square() * torch.randn_like(latent.loc)
        return latent._replace(sample=latent.loc if self.deterministic else noisy)


class OtherKL(Broken):
    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        return latent._replace(kl=latent.kl + 0.1)


class DeafToMode(Broken):
    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        return latent._replace(sample=latent.loc + latent.scale * torch.randn_like(latent.loc))


class OnlyInTraining(Broken):
    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        return latent if self.training else latent._replace(sample=latent.loc)


class Forgetful(Broken):
    def observe(self, latent: vn.Latent, *_: object) -> None:
        pass


class StateOutsideBuffers(Broken):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.shift = torch.randn(())

    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        loc = latent.loc + self.shift
        sample = latent.sample + self.shift
        return vn.Latent(sample, loc, latent.scale, self.prior.kl(loc, latent.scale))


class Ordered(Broken):
    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        shift = torch.arange(self.units, dtype=h.dtype)[:, None]
        loc, sample = latent.loc + shift, latent.sample + shift
        return vn.Latent(sample, loc, latent.scale, self.prior.kl(loc, latent.scale))


class SinglePrecision(Broken):
    def spoil(self, h: Tensor, latent: vn.Latent) -> vn.Latent:
        return latent._replace(kl=latent.kl.float())


class AnyFeatures(Broken):
    def check_features(self, h: Tensor) -> None:
        pass


def test_the_sound_unit_passes() -> None:
    check_unit(Broken)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (SummedKL, r"latent\.kl has shape \(11,\), expected \(11, 7\)"),
        (DetachedScale, "no gradient reaches raw"),
        (VarianceAsScale, "draws do not have the stated scale"),
        (OtherKL, "KL and prior.kl differs by up to 0.1"),
        (DeafToMode, r"the sample under deterministic\(\) differs"),
        (OnlyInTraining, "the unit does not draw"),
        (Forgetful, "one call recorded 0 terms"),
        (StateOutsideBuffers, "the output after state_dict differs"),
        (Ordered, "of reordered units differs"),
        (SinglePrecision, r"latent\.kl is torch\.float32 after \.double\(\)"),
        (AnyFeatures, "are not refused with a ValueError"),
    ],
)
def test_a_defect_is_named(unit: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_unit(unit)


def test_units_that_are_not_interchangeable_say_so() -> None:
    check_unit(Ordered, permutable=False)


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    check_unit(Broken)
    assert torch.equal(torch.rand(3), expected)


class HalvedPrior(vn.AbstractPrior):
    """States σ = 1 and computes with σ = 2."""

    def moments(self) -> tuple[Tensor, Tensor]:
        return torch.zeros(()), torch.ones(())

    def kl(self, loc: Tensor, scale: Tensor) -> Tensor:
        return vn.StandardNormal().kl(loc / 2, scale / 2)


def test_a_prior_that_is_not_what_it_states_is_caught() -> None:
    with pytest.raises(AssertionError, match="KL at q = p"):
        check_prior(HalvedPrior(), units=3, latent_dim=2)
