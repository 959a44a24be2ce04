"""What each scale action preserves: function, distribution, moments and statistics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import vneuron as vn

UNITS, IN, OUT = 5, 4, 3
FACTOR = torch.tensor([0.25, 0.7, 1.0, 1.9, 6.0])
FORMS = ["raw", "mean", "gauge"]
SCALES = ["input", "per_unit", "scalar"]


class Model(nn.Module):
    """Raw activity read linearly, all k dimensions by their own columns."""

    def __init__(self, k: int, scale: str = "input", prior: vn.AbstractPrior | None = None) -> None:
        super().__init__()
        self.layer = vn.GaussianUnits(
            IN, UNITS, latent_dim=k, scale=scale, activity="raw", prior=prior, beta=0.3
        )
        if self.layer.scale_weight is not None:
            nn.init.normal_(self.layer.scale_weight, std=0.3)
        self.head = nn.Linear(UNITS * k, OUT)
        self.layer.readers.append(vn.Reader(self.head))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x).flatten(1))


def output(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the output, and its covariance given x, in closed form."""
    latent = model.layer.infer(x)
    weight = model.head.weight
    mean = latent.loc.flatten(1) @ weight.T + model.head.bias
    spread = weight[None] * latent.scale.flatten(1)[:, None]
    return mean, spread @ spread.transpose(1, 2)


@pytest.mark.parametrize("k", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("scale", SCALES)
def test_mean_keeps_the_mean_and_gauge_the_distribution(k: int, scale: str) -> None:
    x = torch.randn(32, IN)
    for form in ("mean", "gauge"):
        model = Model(k, scale)
        mean, covariance = output(model, x)
        before = model.layer.infer(x)
        vn.rescale(model.layer, FACTOR, form)
        after = model.layer.infer(x)
        torch.testing.assert_close(output(model, x)[0], mean, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(after.loc, before.loc * FACTOR[:, None], rtol=1e-5, atol=1e-6)
        if form == "gauge":
            torch.testing.assert_close(output(model, x)[1], covariance, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(after.scale, before.scale * FACTOR[:, None])
        else:
            torch.testing.assert_close(after.scale, before.scale)


def test_mean_shrinks_a_units_noise_by_its_factor() -> None:
    model, x = Model(1), torch.randn(8, IN)
    noise = model.head.weight * model.layer.infer(x).scale[:1, :, 0]
    vn.rescale(model.layer, FACTOR, "mean")
    after = model.head.weight * model.layer.infer(x).scale[:1, :, 0]
    torch.testing.assert_close(after, noise / FACTOR)


def test_raw_leaves_readers_and_scale() -> None:
    model, x = Model(2), torch.randn(8, IN)
    before, weight = model.layer.infer(x), model.head.weight.clone()
    vn.rescale(model.layer, FACTOR)
    after = model.layer.infer(x)
    torch.testing.assert_close(after.loc, before.loc * FACTOR[:, None])
    torch.testing.assert_close(after.scale, before.scale)
    torch.testing.assert_close(model.head.weight, weight)


def test_gauge_moves_the_kl_as_stated() -> None:
    model, x = Model(2), torch.randn(64, IN)
    before = model.layer.infer(x)
    vn.rescale(model.layer, FACTOR, "gauge")
    square = (before.loc.square() + before.scale.square()).sum(-1)
    moved = 0.5 * (FACTOR.square() - 1) * square - 2 * FACTOR.log()
    torch.testing.assert_close(model.layer.infer(x).kl, before.kl + moved, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("learned", [False, True])
def test_running_statistics_are_what_the_next_batch_would_say(form: str, learned: bool) -> None:
    prior = vn.LearnedNormal(UNITS, 2) if learned else None
    if prior is not None:
        nn.init.normal_(prior.loc)
    model, x = Model(2, prior=prior), torch.randn(256, IN)
    collected = vn.Collect(model)
    vn.control_step(model, collected(x)[1])
    vn.rescale(model.layer, FACTOR, form)
    fresh = vn.UnitStatistics(UNITS, 2)
    fresh.update(collected(x)[1][0])
    for name, value in fresh.named_buffers():
        found = dict(model.layer.statistics.named_buffers())[name]
        torch.testing.assert_close(
            found, value, rtol=1e-3, atol=1e-4, equal_nan=True, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("form", ["mean", "gauge"])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_moments_become_those_of_the_rescaled_parameters(form: str, kind: type) -> None:
    """Train, act; the moments are those of a run whose gradients were in the new units all along.

    For "gauge" the loss is the same function of the output, so gradients scale exactly; under
    "mean" they do where σ does not enter the loss.
    """
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {"amsgrad": True}
    model = Model(2)
    optimizer = kind(model.parameters(), lr=0.0, **options)
    x = torch.randn(32, IN)

    def accumulate() -> None:
        optimizer.zero_grad()
        if form == "gauge":
            mean, covariance = output(model, x)
            (mean.square().sum() + covariance.square().sum()).backward()
        else:
            with vn.deterministic(model):
                model(x).square().sum().backward()
        optimizer.step()

    for _ in range(5):
        accumulate()
    vn.rescale(model.layer, FACTOR, form, optimizer)
    found = {
        (i, name): value.clone()
        for i, p in enumerate(model.parameters())
        for name, value in optimizer.state[p].items()
        if isinstance(value, Tensor) and value.ndim
    }
    optimizer.state.clear()
    for _ in range(5):
        accumulate()
    assert found
    for i, p in enumerate(model.parameters()):
        for name, value in optimizer.state[p].items():
            if isinstance(value, Tensor) and value.ndim:
                torch.testing.assert_close(found[i, name], value, rtol=2e-3, atol=1e-5)


def test_training_goes_on_as_if_nothing_had_happened_under_gauge() -> None:
    """Without KL and at Adam's ε = 0 a change of units is invisible to the function learned."""
    x = torch.randn(64, IN)
    losses = []
    for act in (False, True):
        torch.manual_seed(1)
        model = Model(1, "per_unit")
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=0.0)
        for step in range(6):
            torch.manual_seed(step)
            loss = (model(x) - x[:, :OUT]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if act and step == 2:
                vn.rescale(model.layer, torch.full((UNITS,), 1.0001), "gauge", optimizer)
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize("form", ["mean", "gauge"])
def test_readers_that_are_missing_or_nonlinear_are_refused(form: str) -> None:
    layer = vn.GaussianUnits(IN, UNITS)
    with pytest.raises(ValueError, match="no reader of 'GaussianUnits' is declared"):
        vn.rescale(layer, FACTOR, form)
    layer.readers.append(vn.Reader(nn.Linear(UNITS, 2), linear=False))
    with pytest.raises(ValueError, match=f"read nonlinearly by Linear, which form '{form}'"):
        vn.rescale(layer, FACTOR, form)
    vn.rescale(layer, FACTOR, "raw")


def test_wrong_arguments_are_refused() -> None:
    layer = vn.GaussianUnits(IN, UNITS)
    with pytest.raises(ValueError, match="form is 'soft'"):
        vn.rescale(layer, FACTOR, "soft")
    with pytest.raises(ValueError, match=r"shape \(2,\), expected \[5\]"):
        vn.rescale(layer, torch.ones(2))
    with pytest.raises(ValueError, match="DeterministicUnits 'DeterministicUnits' cannot"):
        vn.rescale(vn.DeterministicUnits(IN, UNITS), FACTOR)
    layer.readers.append(vn.Reader(nn.Linear(UNITS + 1, 2)))
    with pytest.raises(ValueError, match=r"axis 1 of the reader Linear.weight of shape \(2, 6\)"):
        vn.rescale(layer, FACTOR, "mean")


def test_a_reader_is_looked_up_anew() -> None:
    head = nn.Linear(UNITS, 2)
    reader = vn.Reader(head)
    head.weight = nn.Parameter(torch.zeros(2, UNITS))
    assert reader.weight is head.weight
    with pytest.raises(ValueError, match=r"the reader Linear\.nothing is NoneType"):
        vn.Reader(head, "nothing").weight  # noqa: B018
