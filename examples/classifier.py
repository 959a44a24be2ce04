"""An MLP classifier whose ReLU layer becomes a layer of distributional units in one line.

    python examples/classifier.py

Three interleaved spirals. The same network is trained with `nn.ReLU` and with units; the units
also say how sure they are, and how healthy they are. Units draw around a linear map of what they
are given, so the layer before keeps its tanh.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vneuron as vn


def spirals(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points in the plane, [n, 2], and which of three arms each lies on."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, 3, (n,), generator=generator)
    radius = torch.rand(n, generator=generator).sqrt()
    angle = 4.0 * radius + label * 2.0943951
    x = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)
    return 3.0 * (x + 0.07 * torch.randn(n, 2, generator=generator)), label


def classifier(activation: Callable[[int], nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 6), activation(6), nn.Linear(6, 3)
    )


def train(model: nn.Module, steps: int, data: tuple[Tensor, Tensor]) -> None:
    collected = vn.Collect(model)
    vn.prepare_controls(collected, steps)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        logits, terms = collected(data[0])
        nll = F.cross_entropy(logits, data[1], reduction="none")
        loss = vn.free_energy(nll, terms, vn.penalties(collected, terms))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vn.control_step(collected, terms, optimizer)


class Fitted(NamedTuple):
    """Class probabilities of the test points, with ReLU and for each draw of units; and health."""

    plain: Tensor
    draws: Tensor
    label: Tensor
    health: vn.Health


def fit(steps: int, seed: int = 0) -> Fitted:
    torch.manual_seed(seed)
    data, test, held_out = (spirals(n, 3 * seed + i) for i, n in enumerate((600, 2000, 300)))

    plain = classifier(lambda n: nn.ReLU())
    living = classifier(lambda n: vn.GaussianUnits(n, n, beta=0.003))  # the one line

    for model in (plain, living):
        train(model, steps, data)

    vn.measure_use(
        living, lambda: F.cross_entropy(living(held_out[0]), held_out[1], reduction="none")
    )
    with torch.no_grad():
        p = vn.draw_outputs(living, test[0], draws=32).softmax(-1)
        return Fitted(plain(test[0]).softmax(-1), p, test[1], vn.health(living))


def main(steps: int = 600, seed: int = 0) -> dict[str, float]:
    plain, draws, label, health = fit(steps, seed)
    wrong = draws.mean(0).argmax(-1) != label
    doubt = vn.categorical_information(draws)
    found = {
        "accuracy_relu": (plain.argmax(-1) == label).float().mean().item(),
        "accuracy_units": 1.0 - wrong.float().mean().item(),
        "doubt_where_right": doubt[~wrong].mean().item(),
        "doubt_where_wrong": doubt[wrong].mean().item(),
        "living": health.counts.get("living", 0) / len(health.units),
    }
    print(f"accuracy: ReLU {found['accuracy_relu']:.3f}, units {found['accuracy_units']:.3f}")
    print(
        f"information between class and draw, nats: {found['doubt_where_right']:.3f} where right, "
        f"{found['doubt_where_wrong']:.3f} where wrong"
    )
    print(health)
    return found


if __name__ == "__main__":
    main()
