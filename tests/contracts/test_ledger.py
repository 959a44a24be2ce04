"""The ledger's contract: terms leave a model as ordinary outputs, whatever runs the model.

Each mechanism is held against the same reference, the eager model with its terms returned by
`Collect`: same names in the same order, same gradient for every parameter.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

import vneuron as vn

IN, BATCH = 3, 8


class Block(nn.Module):
    """Units inside units' readers, so that terms come from two depths."""

    def __init__(self) -> None:
        super().__init__()
        self.units = vn.GaussianUnits(IN, 4, latent_dim=2, beta=0.3)
        self.back = nn.Linear(4, IN)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.back(self.units(x)))


class Model(nn.Module):
    """Calls one layer twice and another, whose prior is reached through the KL alone, once."""

    def __init__(self, wrap: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.block = Block()
        self.top = vn.GaussianUnits(IN, 5, prior=vn.LearnedNormal(5), scale="per_unit")
        self.read = nn.Linear(5, 1)
        self.wrap = wrap

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = self.block(x) if self.wrap is None else self.wrap(self.block, x)
        return self.read(self.top(x))[:, 0]


def reentrant(module: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(module, x, use_reentrant=True)


def non_reentrant(module: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(module, x, use_reentrant=False)


def loss_of(collected: Callable[[Tensor], Any], x: Tensor) -> Tensor:
    y, terms = collected(x)
    return vn.free_energy((y - x.sum(-1)).square(), terms)


def gradients(module: nn.Module) -> dict[str, Tensor]:
    found = {}
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        found[name.replace("_orig_mod.", "")] = parameter.grad.clone()
    return found


def backward(collected: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Gradients of the free energy, with the same noise each time."""
    collected.zero_grad()
    torch.manual_seed(5)
    loss_of(collected, x).backward()
    return gradients(collected)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(BATCH, IN)


@pytest.fixture
def collected() -> vn.Collect:
    return vn.Collect(Model())


def twin(collected: vn.Collect, wrap: Callable[..., Any]) -> vn.Collect:
    """The same parameters, with the block run through `wrap`."""
    other = copy.deepcopy(collected)
    other.model.wrap = wrap  # type: ignore[assignment]
    return other


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=lambda m, name=name: f"{name}: {m}")


def names(collected: nn.Module, x: Tensor) -> list[str]:
    return [term.name for term in collected(x)[1]]


EXPECTED = ["block.units", "block.units", "top"]


def test_repeated_and_nested_calls_each_leave_a_term(collected: vn.Collect, x: Tensor) -> None:
    assert names(collected, x) == EXPECTED
    assert names(collected, x) == EXPECTED  # nothing is carried over


def test_gradients_are_those_of_returning_the_terms_by_hand(
    collected: vn.Collect, x: Tensor
) -> None:
    expected = backward(collected, x)
    model = collected.model
    assert isinstance(model, Model)
    collected.zero_grad()
    torch.manual_seed(5)
    h, total = x, torch.zeros(())
    for _ in range(2):
        latent = model.block.units.infer(h)
        total = total + 0.3 * latent.kl.sum(-1).mean()
        h = torch.tanh(model.block.back(latent.sample.mean(-1)))
    latent = model.top.infer(h)
    y = model.read(latent.sample[..., 0])[:, 0]
    (total + latent.kl.sum(-1).mean() + (y - x.sum(-1)).square().mean()).backward()
    assert_same(gradients(collected), expected)


class Counter:
    """A compiler backend that runs the graph as it is and counts the graphs it was given."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        return graph.forward


def test_compile_captures_one_graph_with_the_same_gradient(
    collected: vn.Collect, x: Tensor
) -> None:
    expected = backward(collected, x)
    torch._dynamo.reset()
    counter = Counter()
    compiled = torch.compile(collected, fullgraph=True, backend=counter)
    assert names(compiled, x) == EXPECTED
    assert_same(backward(compiled, x), expected)
    assert counter.graphs == 1


def test_compiled_steps_with_moving_state_stay_one_graph(collected: vn.Collect, x: Tensor) -> None:
    torch._dynamo.reset()
    counter = Counter()
    compiled = torch.compile(collected, fullgraph=True, backend=counter)
    units = dict(collected.named_modules())["model.top"]
    assert isinstance(units, vn.AbstractUnit)
    for _ in range(5):
        _, terms = compiled(x)
        vn.control_step(collected, terms)
        units.beta.mul_(0.9)
    assert counter.graphs == 1
    torch.testing.assert_close(compiled(x)[1][-1].beta, torch.full((5,), 0.9**5))


def test_muted_compiles_too(x: Tensor) -> None:
    class Muted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.units = vn.GaussianUnits(IN, IN)

        def forward(self, x: Tensor) -> Tensor:
            with vn.muted():
                x = self.units(x)
            return self.units(x)

    torch._dynamo.reset()
    compiled = torch.compile(vn.Collect(Muted()), fullgraph=True, backend=Counter())
    assert names(compiled, x) == ["units"]


def test_gradients_per_example_by_vmap(collected: vn.Collect, x: Tensor) -> None:
    parameters = {name: p.detach() for name, p in collected.named_parameters()}

    def loss(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return loss_of(lambda x: functional_call(collected, parameters, (x,)), row[None])

    with vn.deterministic(collected):
        each = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
        expected = backward(collected, x)
    assert_same({name: gradient.mean(0) for name, gradient in each.items()}, expected)


def test_vmap_draws_anew_for_every_example(collected: vn.Collect, x: Tensor) -> None:
    def sample(row: Tensor) -> Tensor:
        _, terms = collected(row[None])
        return terms[0].sample[0]

    same = x[:1].expand(BATCH, IN)
    samples = vmap(sample, randomness="different")(same)
    assert (samples.std(0) > 0).all()


def test_non_reentrant_checkpointing_counts_every_term_once(
    collected: vn.Collect, x: Tensor
) -> None:
    expected = backward(collected, x)
    checkpointed = twin(collected, non_reentrant)
    assert names(checkpointed, x) == EXPECTED
    assert_same(backward(checkpointed, x), expected)


def test_statistics_do_not_advance_when_checkpointing_recomputes(
    collected: vn.Collect, x: Tensor
) -> None:
    checkpointed = twin(collected, non_reentrant)
    y, terms = checkpointed(x)
    vn.control_step(checkpointed, terms)
    vn.free_energy(y.square(), terms).backward()
    updates = [s.updates.item() for s in checkpointed.modules() if isinstance(s, vn.UnitStatistics)]
    assert updates == [1, 1]


def test_reentrant_checkpointing_is_refused_with_the_cure(collected: vn.Collect, x: Tensor) -> None:
    with pytest.raises(RuntimeError, match=r"block\.units.*use_reentrant=False"):
        twin(collected, reentrant)(x.requires_grad_())
    assert names(collected, x) == EXPECTED


def test_without_gradients_everything_is_recorded(collected: vn.Collect, x: Tensor) -> None:
    with torch.no_grad():
        assert names(collected, x) == EXPECTED
    with torch.inference_mode():
        assert names(collected, x) == EXPECTED


def test_deepcopy_after_a_forward_is_independent(collected: vn.Collect, x: Tensor) -> None:
    expected = backward(collected, x)
    other = copy.deepcopy(collected)
    assert_same(backward(other, x), expected)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert_same(backward(collected, x), expected)


def test_export_keeps_the_terms(collected: vn.Collect, x: Tensor) -> None:
    with vn.deterministic(collected):
        exported = torch.export.export(collected, (x,)).module()
        y, terms = collected(x)
    exported_y, exported_terms = exported(x)
    torch.testing.assert_close(exported_y, y)
    assert [term.name for term in exported_terms] == EXPECTED
    for found, term in zip(exported_terms, terms, strict=True):
        torch.testing.assert_close(found.kl, term.kl)


def test_export_of_a_model_without_a_boundary(collected: vn.Collect, x: Tensor) -> None:
    with vn.deterministic(collected):
        exported = torch.export.export(collected.model, (x,)).module()
        torch.testing.assert_close(exported(x), collected.model(x))


def test_threads_do_not_hear_each_other(x: Tensor) -> None:
    found: dict[int, list[str]] = {}
    both_inside = threading.Barrier(2)

    class Waiting(nn.Module):
        def __init__(self, calls: int) -> None:
            super().__init__()
            self.units, self.calls = vn.GaussianUnits(IN, IN), calls

        def forward(self, x: Tensor) -> Tensor:
            both_inside.wait(timeout=30)
            for _ in range(self.calls):
                x = self.units(x)
            both_inside.wait(timeout=30)
            return x

    def work(calls: int) -> None:
        found[calls] = names(vn.Collect(Waiting(calls)), x)

    threads = [threading.Thread(target=work, args=(calls,)) for calls in (1, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {1: ["units"], 3: ["units"] * 3}


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.units = vn.GaussianUnits(IN, IN)

    def forward(self, x: Tensor) -> Tensor:
        self.units(x)
        raise KeyError("inside")


def test_an_exception_closes_the_boundary(collected: vn.Collect, x: Tensor) -> None:
    class Catching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.units = vn.Collect(Failing()), vn.GaussianUnits(IN, IN)

        def forward(self, x: Tensor) -> Tensor:
            for guard in (self.inner, self.muted_failure):
                with pytest.raises(KeyError):
                    guard(x)
            return self.units(x)

        def muted_failure(self, x: Tensor) -> None:
            with vn.muted():
                self.inner.model(x)

    assert names(vn.Collect(Catching()), x) == ["units"]
    with pytest.raises(KeyError):
        vn.Collect(Failing())(x)
    assert names(collected, x) == EXPECTED


def test_a_boundary_inside_keeps_its_terms(x: Tensor) -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.units = vn.Collect(vn.GaussianUnits(IN, IN)), vn.GaussianUnits(IN, IN)

        def forward(self, x: Tensor) -> tuple[Tensor, int]:
            y, terms = self.inner(x)
            return self.units(y), len(terms)

    (_, inside), terms = vn.Collect(Outer())(x)
    assert inside == 1
    assert [term.name for term in terms] == ["units"]


def test_muted_inside_a_boundary_records_nothing_and_restores(x: Tensor) -> None:
    class Thrice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.units = vn.GaussianUnits(IN, IN)

        def forward(self, x: Tensor) -> Tensor:
            x = self.units(x)
            with vn.muted(), vn.muted(), torch.no_grad():
                x = self.units(x)
            return self.units(x)

    assert names(vn.Collect(Thrice()), x) == ["units", "units"]


def test_without_a_boundary_units_just_run(collected: vn.Collect, x: Tensor) -> None:
    assert collected.model(x).shape == (BATCH,)
    assert names(collected, x) == EXPECTED


def test_a_term_keeps_the_beta_it_was_recorded_with(collected: vn.Collect, x: Tensor) -> None:
    y, terms = collected(x)
    loss = vn.free_energy(y, terms)
    for module in collected.modules():
        if isinstance(module, vn.AbstractUnit):
            module.beta.zero_()
    assert terms[0].beta.tolist() == pytest.approx([0.3] * 4)
    loss.backward()  # a β moved in place must not invalidate the graph
