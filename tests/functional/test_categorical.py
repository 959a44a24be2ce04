"""Categorical divergence and draws against torch, exact shares and enumeration."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.functional.categorical import kl_divergence, relaxed_one_hot, sample_one_hot

LOGITS = st.lists(st.floats(-20, 20), min_size=4, max_size=4)


@given(LOGITS, LOGITS)
def test_kl_is_that_of_torch_and_never_negative(q: list[float], p: list[float]) -> None:
    a, b = torch.tensor([q, p], dtype=torch.float64)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=a), torch.distributions.Categorical(logits=b)
    )
    found = kl_divergence(a, b)
    assert found >= 0
    torch.testing.assert_close(found, expected.clamp_min(0.0), rtol=1e-8, atol=1e-10)


def test_kl_agrees_with_monte_carlo() -> None:
    q, p = torch.tensor([0.3, -1.0, 1.2]), torch.tensor([1.0, 0.0, -0.5])
    z = sample_one_hot(q.expand(300_000, -1))
    ratio = z @ (q.log_softmax(-1) - p.log_softmax(-1))
    assert abs(kl_divergence(q, p) - ratio.mean()) < 3 * ratio.std() / math.sqrt(len(z))


def test_hard_draws_have_the_probabilities() -> None:
    logits = torch.tensor([0.3, -1.0, 1.2, 0.0])
    n, q = 200_000, logits.softmax(-1)
    z = sample_one_hot(logits.expand(n, -1))
    assert torch.equal(z.sum(-1), torch.ones(n))
    assert set(z.unique().tolist()) == {0.0, 1.0}
    assert ((z.mean(0) - q).abs() < 4.5 * (q * (1 - q) / n).sqrt()).all()


def test_relaxed_draws_follow_torch_and_harden_as_they_cool() -> None:
    logits = torch.tensor([0.3, -1.0, 1.2])
    n = 100_000
    law = torch.distributions.RelaxedOneHotCategorical(torch.tensor(0.7), logits=logits)
    ours, theirs = relaxed_one_hot(logits.expand(n, -1), 0.7), law.sample((n,))
    for moment in (1, 2):
        a, b = ours**moment, theirs**moment
        error = ((a.var(0) + b.var(0)) / n).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() < 4.5 * error).all()
    torch.testing.assert_close(ours.sum(-1), torch.ones(n))
    cold = relaxed_one_hot(logits.expand(n, -1), 0.01)
    assert (cold.max(-1).values > 0.99).float().mean() > 0.95
    q = logits.softmax(-1)
    assert ((cold.mean(0) - q).abs() < 5 * (q * (1 - q) / n).sqrt()).all()


def test_gradients_pass_relaxed_draws_and_not_hard_ones() -> None:
    logits = torch.zeros(5, 3, requires_grad=True)
    assert not sample_one_hot(logits).requires_grad
    relaxed_one_hot(logits, 0.5)[:, 0].sum().backward()
    assert logits.grad is not None
    assert (logits.grad != 0).any()
    with pytest.raises(ValueError, match="temperature is 0"):
        relaxed_one_hot(logits, 0.0)
