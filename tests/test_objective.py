"""The free energy: the one place of reduction, checked against a sum written out."""

from __future__ import annotations

import pytest
import torch

import vneuron as vn


def term(kl: torch.Tensor, beta: torch.Tensor) -> vn.LocalTerm:
    z = torch.zeros(*kl.shape, 1)
    return vn.LocalTerm("u", kl, z, z, z, beta)


def test_it_is_the_mean_over_examples_of_nll_and_weighted_kl() -> None:
    nll = torch.tensor([1.0, 3.0])
    first = term(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0.5, 0.1]))
    second = term(torch.tensor([[10.0], [20.0]]), torch.tensor([2.0]))
    by_hand = ((1 + 0.5 + 0.2 + 20) + (3 + 1.5 + 0.4 + 40)) / 2
    assert vn.free_energy(nll, [first, second]).item() == pytest.approx(by_hand)
    penalised = vn.free_energy(nll, iter([first, second]), penalty=torch.tensor(0.25))
    assert penalised.item() == pytest.approx(by_hand + 0.25)


def test_a_layer_called_twice_counts_twice() -> None:
    once = term(torch.ones(2, 3), torch.ones(3))
    nll = torch.zeros(2)
    assert vn.free_energy(nll, [once, once]) == 2 * vn.free_energy(nll, [once])


def test_without_terms_it_is_the_mean_nll() -> None:
    assert vn.free_energy(torch.tensor([1.0, 2.0]), ()).item() == 1.5


@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_a_reduced_or_unsummed_nll_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \[batch\]: sum it over all axes but the batch"):
        vn.free_energy(torch.zeros(shape), ())


def test_a_term_of_another_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'u' has a batch of 6, expected 2"):
        vn.free_energy(torch.zeros(2), [term(torch.ones(6, 3), torch.ones(3))])
