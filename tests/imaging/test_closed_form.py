"""The closed-form update against least squares, and its change of scale against what it keeps."""

from __future__ import annotations

import pytest
import torch

from vneuron.imaging.closed_form import ClosedFormLearner
from vneuron.inference import (
    IterativeGaussian,
    IterativePoisson,
    LinearDecoder,
    NonlinearDecoder,
    descend,
)


def learner(prior_rate: float | None = None) -> ClosedFormLearner:
    return ClosedFormLearner(IterativePoisson(LinearDecoder(5, 12)), prior_rate=prior_rate)


def test_one_batch_solves_for_the_least_expected_error() -> None:
    images = torch.rand(400, 12)
    both = learner()
    both.start(images)
    both.warm_up = 0
    before = both.model.moments(descend(both.model, images, 20, 0.1).belief)
    both.learn(images, 20, 0.1)
    mean, variance = (moment.double() for moment in before)
    # E‖x − Φz‖² as least squares: one row more for the variance of each latent.
    design = torch.cat([mean, variance.sum(0).sqrt().diag()])
    target = torch.cat([images.double(), torch.zeros(5, 12, dtype=torch.float64)])
    expected = torch.linalg.lstsq(design, target).solution.T
    decoder = both.model.decoder
    assert isinstance(decoder, LinearDecoder)
    torch.testing.assert_close(decoder.dictionary.double(), expected, atol=1e-3, rtol=1e-3)
    residual = (target - design @ expected.T).square().sum(0) / 400
    noise = 1.0 / both.model.constants().precision.double()
    torch.testing.assert_close(noise, residual.mean().expand(12), rtol=1e-3, atol=0)
    torch.testing.assert_close(
        both.model.log_prior.exp().double(), mean.mean(0), rtol=1e-4, atol=1e-6
    )


def test_a_change_of_scale_keeps_the_mean_image_and_its_books() -> None:
    images = torch.rand(400, 12)
    both = learner(prior_rate=0.01)
    both.start(images)
    both.learn(images, 20, 0.1)  # within the warm-up: sums only
    model, decoder = both.model, both.model.decoder
    assert isinstance(model, IterativePoisson)
    assert isinstance(decoder, LinearDecoder)
    atoms, rate, gram = (
        decoder.dictionary.detach().clone(),
        both.prior_sums[0].clone(),
        both.gram.clone(),
    )
    product = gram - rate.diag()
    with torch.no_grad():
        both._rescale(model, 0.1)
    after = decoder.dictionary.detach()
    factor = (atoms / after).mean(0)
    assert ((factor - 1).abs() > 0.01).any()
    torch.testing.assert_close(after * factor, atoms)
    torch.testing.assert_close(both.prior_sums[0], rate * factor)
    expected = product * factor * factor[:, None] + (rate * factor).diag()
    torch.testing.assert_close(both.gram, expected)


@pytest.mark.parametrize("kind", ["poisson", "gaussian", "rectified"])
def test_learning_lowers_the_free_energy(kind: str) -> None:
    basis = torch.rand(3, 12)
    images = torch.rand(600, 3).square() @ basis
    decoder = LinearDecoder(8, 12)
    if kind == "poisson":
        both = ClosedFormLearner(IterativePoisson(decoder))
    else:
        activation = "identity" if kind == "gaussian" else "rectified"
        both = ClosedFormLearner(IterativeGaussian(decoder, activation=activation))  # type: ignore[arg-type]
    both.start(images)

    def bound() -> float:
        state = descend(both.model, images, 60)
        return float((state.energy.mean() + both.model.constants().log_det).detach())

    first = bound()
    for _ in range(40):
        both.learn(images, 30, 1.0)
    assert bound() < first - 1.0


def test_only_linear_decoders_can_be_solved_for() -> None:
    decoder = NonlinearDecoder(torch.nn.Linear(3, 4), 3, 4)
    with pytest.raises(ValueError, match="through_time"):
        ClosedFormLearner(IterativePoisson(decoder))


def test_fineness_makes_atoms_finer_by_its_root() -> None:
    images = torch.rand(400, 12)
    factors = []
    for fineness in (1.0, 1.1):
        torch.manual_seed(3)
        both = ClosedFormLearner(
            IterativePoisson(LinearDecoder(5, 12)), prior_rate=0.01, fineness=fineness
        )
        both.start(images)
        both.learn(images, 20, 0.1)
        model, decoder = both.model, both.model.decoder
        assert isinstance(model, IterativePoisson)
        assert isinstance(decoder, LinearDecoder)
        with torch.no_grad():  # so near its best scale that no factor meets its limit
            slope = both.prior_sums[1]
            both.prior_sums[0].copy_(0.1 * slope / model.constants().curvature)
        before = decoder.dictionary.detach().clone()
        with torch.no_grad():
            both._rescale(model, 0.1)
        factors.append(before / decoder.dictionary.detach())
    torch.testing.assert_close(factors[0], torch.ones_like(factors[0]))
    torch.testing.assert_close(factors[1], torch.full_like(factors[1], 1.1**0.5))
