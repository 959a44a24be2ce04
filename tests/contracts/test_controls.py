"""Every exported control keeps the contract; a new one is picked up by being exported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import vneuron as vn
from vneuron import controls
from vneuron.testing import check_control

EXPORTED = [getattr(controls, name) for name in controls.__all__]
CONTROLS = [c for c in EXPORTED if inspect.isclass(c) and issubclass(c, vn.AbstractControl)]
KS = [1, 2, 4, 8, 16]


def unit_for(control: type[vn.AbstractControl], k: int, units: int = 5) -> vn.GaussianUnits:
    """A layer with what the control acts on: a band, a reader, a weighted prior."""
    weighted = vn.AutoregressiveNormal(units, k, phi=0.9, form="quadratic")
    layer = vn.GaussianUnits(
        3, units, latent_dim=k, prior=weighted if control is vn.ShareBalance else None
    )
    if control is not vn.EnergyBand:
        layer.controls.append(vn.EnergyBand(units, warmup=0, ramp=2))
    layer.readers.append(vn.Reader(nn.Linear(units, 2)))
    return layer


def build(control: type[vn.AbstractControl], **options: Any) -> Callable[..., vn.AbstractControl]:
    known = inspect.signature(control).parameters
    fitting = {name: value for name, value in options.items() if name in known}

    def make(unit: vn.AbstractUnit) -> vn.AbstractControl:
        if "latent_dim" in known:
            fitting["latent_dim"] = unit.latent_dim
        return control(unit.units, **fitting)  # type: ignore[call-arg]

    return make


def variants(control: type[vn.AbstractControl]) -> Iterator[dict[str, Any]]:
    """The defaults, and every value of the options, acting at each step."""
    yield {}
    known = inspect.signature(control).parameters
    every = {"every": 1} if "every" in known else {}
    forms = ("absolute", "relative") if control is vn.EnergyBand else ("raw", "mean", "gauge")
    for form in forms if "form" in known else ():
        yield {**every, "form": form}
    if "quantity" in known:
        yield {"quantity": "variance"}
    if "warmup" in known:
        yield {"warmup": 0, "ramp": 0, "spread": 8.0}
    if every:
        yield every


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize(
    ("control", "options"),
    [(control, options) for control in CONTROLS for options in variants(control)],
    ids=lambda value: value.__name__ if inspect.isclass(value) else str(value),
)
def test_control(control: type[vn.AbstractControl], options: dict[str, Any], k: int) -> None:
    check_control(build(control, **options), lambda: unit_for(control, k))


def test_something_is_exported() -> None:
    assert {vn.KLBudget, vn.EnergyBand, vn.Projection, vn.Homeostasis} <= set(CONTROLS)


def everything(k: int, units: int = 4) -> tuple[vn.Collect, torch.optim.Optimizer]:
    """A model whose layer carries every control at once."""
    torch.manual_seed(3)
    prior = vn.AutoregressiveNormal(units, k, phi=0.9, form="quadratic")
    layer = vn.GaussianUnits(3, units, latent_dim=k, prior=prior, beta=0.1)
    head = nn.Linear(units, 1)
    layer.readers.append(vn.Reader(head))
    layer.controls.extend(
        [
            vn.KLBudget(units),
            vn.EnergyBand(units, warmup=0.1, ramp=0.2),
            vn.Projection(units, every=4, form="mean"),
            vn.Homeostasis(units, every=3, form="gauge"),
            vn.ScaleGuard(units, k),
            vn.BandCalibration(units, every=2),
            vn.ShareBalance(units),
        ]
    )
    model = vn.Collect(Remembering(layer, head))
    vn.prepare_controls(model, 20)
    return model, torch.optim.Adam(model.parameters(), lr=0.01)


class Remembering(nn.Module):
    def __init__(self, layer: vn.GaussianUnits, head: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.head = head

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        with vn.muted():
            previous = self.layer.infer(before)
        return self.head(self.layer(x, vn.PriorContext(previous.loc, previous.scale)))


def train(model: vn.Collect, optimizer: torch.optim.Optimizer, steps: range) -> vn.Info:
    for step in steps:
        torch.manual_seed(100 + step)
        x, before = torch.randn(16, 3), torch.randn(16, 3)
        y, terms = model(x, before)
        nll = (y[:, 0] - x.sum(-1)).square()
        optimizer.zero_grad()
        vn.free_energy(nll, terms, vn.penalties(model, terms)).backward()
        optimizer.step()
        info = vn.control_step(model, terms, optimizer)
    return info


@pytest.mark.parametrize("k", KS)
def test_all_controls_together_keep_units_finite_and_their_shapes(k: int) -> None:
    model, optimizer = everything(k)
    layer = model.model.layer
    start = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    info = train(model, optimizer, range(12))
    assert layer.beta.shape == (4,)
    measured_later = {name for name, tensor in start.items() if tensor.isnan().any()}
    for name, tensor in layer.state_dict().items():
        assert name in measured_later or tensor.isfinite().all(), name
    assert all(value.ndim == 0 for value in info.values.values())
    band = layer.controls[1].bounds()
    assert band.low.shape == band.original_high.shape == (4,)


@pytest.mark.parametrize("cut", [1, 5, 7])
def test_a_resumed_run_gives_the_same_bits(cut: int) -> None:
    whole, optimizer = everything(2)
    train(whole, optimizer, range(12))
    first, optimizer = everything(2)
    train(first, optimizer, range(cut))
    second, later = everything(2)
    second.load_state_dict(first.state_dict())
    later.load_state_dict(optimizer.state_dict())
    vn.prepare_controls(second, 20)
    train(second, later, range(cut, 12))
    for name, value in whole.state_dict().items():
        other = second.state_dict()[name]
        assert torch.equal(value.nan_to_num(-1.0), other.nan_to_num(-1.0)), name


class Reads(TorchDispatchMode):
    """Counts what would wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if "_local_scalar_dense" in name or "nonzero" in name or "is_nonzero" in name:
            self.count += 1
        return func(*args, **(kwargs or {}))


def test_no_step_reads_from_the_device() -> None:
    model, optimizer = everything(2)
    train(model, optimizer, range(1))
    x, before = torch.randn(16, 3), torch.randn(16, 3)
    for _ in range(13):  # every action is due at some of them
        with Reads() as reads:
            y, terms = model(x, before)
            loss = vn.free_energy(y.square()[:, 0], terms, vn.penalties(model, terms))
        loss.backward()
        with Reads() as also:
            vn.control_step(model, terms, optimizer)
        assert reads.count == also.count == 0


def test_the_counter_sees_a_read() -> None:
    with Reads() as reads:
        torch.ones(()).item()
    assert reads.count == 1


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.__name__)
@pytest.mark.parametrize("k", [1, 3])
def test_reordered_units_are_controlled_alike(control: type[vn.AbstractControl], k: int) -> None:
    """The same control on the same units in another order does the same to each."""
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.manual_seed(0)
    one = unit_for(control, k)
    with torch.no_grad():
        one.loc.weight.mul_(torch.linspace(0.01, 3.0, 5).repeat_interleave(k)[:, None])
    two = unit_for(control, k)
    two.load_state_dict({n: reorder(t, order, k) for n, t in one.state_dict().items()})
    x = torch.randn(32, 3)
    options = {"every": 1} if "every" in inspect.signature(control).parameters else {}
    for layer in (one, two):
        layer.controls.append(build(control, **options)(layer))
        model = vn.Collect(layer)
        for _ in range(3):
            with vn.deterministic(layer):
                _, terms = model(x)
            vn.control_step(model, terms)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(
            two.state_dict()[name],
            reorder(tensor, order, k),
            equal_nan=True,
            msg=lambda m, name=name: f"{name}: {m}",
        )


def reorder(tensor: Tensor, order: Tensor, k: int) -> Tensor:
    if tensor.ndim and tensor.shape[0] in (5, 5 * k):
        return tensor.reshape(5, -1)[order].reshape(tensor.shape)
    return tensor
