"""Measures on a term against arithmetic written out."""

from __future__ import annotations

import math

import torch

import vneuron as vn
from vneuron.vitals import measures


def term() -> vn.LocalTerm:
    loc = torch.tensor([[[1.0, 0.0], [2.0, 2.0]], [[3.0, 0.0], [2.0, 2.0]]])
    scale = torch.tensor([[[0.5, 1.0], [1.0, 1.0]], [[0.5, 1.0], [1.0, 1.0]]])
    return vn.LocalTerm("u", torch.tensor([[1.0, 0.0], [3.0, 0.0]]), loc, loc, scale, torch.ones(2))


def test_means_over_the_batch() -> None:
    assert measures.effective_kl(term()).tolist() == [2.0, 0.0]
    assert measures.energy(term()).tolist() == [2.5, 4.0]
    assert measures.loc_variance(term()).tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_rate_sums_over_latent_dimensions() -> None:
    rate = measures.rate(term())
    torch.testing.assert_close(rate, torch.tensor([0.5 * math.log(1 + 1 / 0.25), 0.0]))


def test_alive_and_active() -> None:
    assert measures.alive(torch.tensor([1e-4, 2e-4, 0.0])).tolist() == [False, True, False]
    assert measures.active(measures.loc_variance(term())).tolist() == [True, False]


def test_contraction_is_a_geometric_mean_against_the_prior() -> None:
    log_scale = torch.tensor([[math.log(0.25), 0.0], [0.0, 0.0]])
    torch.testing.assert_close(measures.contraction(log_scale), torch.tensor([0.5, 1.0]))
    prior_scale = torch.tensor([[0.5, 2.0], [2.0, 2.0]])
    torch.testing.assert_close(
        measures.contraction(log_scale, prior_scale), torch.tensor([0.5, 0.5])
    )
