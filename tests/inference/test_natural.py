"""Natural-gradient steps: Bayes' rule in one, the same from anywhere, and by parts."""

import pytest
import torch

from vneuron.functional.gaussian import kl_divergence
from vneuron.inference import Evidence, GaussianBelief, linear_evidence, natural_step

BATCH, LATENTS, DATA = 3, 4, 6


def problem(seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    root = normal(BATCH, LATENTS, LATENTS)
    prior_precision = root @ root.mT + torch.eye(LATENTS)
    prior_mean = normal(BATCH, LATENTS)
    prior = GaussianBelief(torch.einsum("bij,bj->bi", prior_precision, prior_mean), prior_precision)
    return prior, normal(BATCH, DATA, LATENTS), normal(BATCH, DATA), normal(BATCH, DATA).exp()


def posterior(prior, design, y, weight):
    """Dense: through the covariance of data and latents together."""
    covariance, mean = torch.linalg.inv(prior.precision), prior.mean()
    joint = design @ covariance @ design.mT + torch.diag_embed(1 / weight)
    gain = covariance @ design.mT @ torch.linalg.inv(joint)
    moved = mean + torch.einsum("bij,bj->bi", gain, y - torch.einsum("bhm,bm->bh", design, mean))
    return moved, covariance - gain @ design @ covariance


@pytest.mark.parametrize("start", [0, 1, 2])
def test_one_whole_step_from_anywhere_is_bayes_rule(start):
    prior, design, y, weight = problem()
    belief = prior if start == 0 else problem(start)[0]
    evidence = linear_evidence(belief.mean(), design, y, weight)
    found = natural_step(belief, prior, evidence)
    mean, covariance = posterior(prior, design, y, weight)
    torch.testing.assert_close(found.mean(), mean)
    torch.testing.assert_close(found.root() @ found.root().mT, covariance)


def test_part_steps_lead_there_too():
    prior, design, y, weight = problem()
    belief = problem(1)[0]
    for _ in range(60):
        evidence = linear_evidence(belief.mean(), design, y, weight)
        belief = natural_step(belief, prior, evidence, rate=0.4)
    torch.testing.assert_close(belief.mean(), posterior(prior, design, y, weight)[0])


def test_yesterdays_posterior_is_todays_prior():
    prior, design, y, weight = problem()
    early, late = weight.clone(), weight.clone()
    early[:, 3:], late[:, :3] = 0.0, 0.0
    first = natural_step(prior, prior, linear_evidence(prior.mean(), design, y, early))
    second = natural_step(first, first, linear_evidence(first.mean(), design, y, late))
    whole = natural_step(prior, prior, linear_evidence(prior.mean(), design, y, weight))
    torch.testing.assert_close(second.mean(), whole.mean())
    torch.testing.assert_close(second.precision, whole.precision)


def test_nothing_seen_changes_nothing():
    prior, design, y, _ = problem()
    nothing = torch.zeros(BATCH, DATA, dtype=torch.float64)
    found = natural_step(prior, prior, linear_evidence(prior.mean(), design, y, nothing))
    torch.testing.assert_close(found.mean(), prior.mean())
    torch.testing.assert_close(found.precision, prior.precision)


def test_a_likelihood_that_is_not_quadratic_finds_its_optimum():
    """Poisson counts with rate e^z: E_q gradient and Hessian are closed; autograd judges."""
    counts = torch.tensor([[0.0], [2.0], [9.0]], dtype=torch.float64)
    prior = GaussianBelief.standard(torch.zeros(3, 1, dtype=torch.float64))
    belief = prior
    for _ in range(200):
        mean, root = belief.mean(), belief.root()[..., 0]
        rate = (mean + 0.5 * root.square()).exp()
        belief = natural_step(belief, prior, Evidence(counts - rate, rate[..., None]), rate=0.3)
    loc = belief.mean().requires_grad_()
    scale = belief.root()[..., 0].requires_grad_()
    kl = kl_divergence(loc, scale, torch.zeros(1), torch.ones(1))
    free_energy = kl - counts * loc + (loc + 0.5 * scale.square()).exp()
    for gradient in torch.autograd.grad(free_energy.sum(), (loc, scale)):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1.5])
def test_a_rate_that_is_no_share_is_refused(rate):
    prior, design, y, weight = problem()
    evidence = linear_evidence(prior.mean(), design, y, weight)
    with pytest.raises(ValueError, match=f"rate is {rate}"):
        natural_step(prior, prior, evidence, rate)
