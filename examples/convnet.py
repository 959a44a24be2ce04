"""A small convolutional network whose ReLU layers become distributional units in one line.

    python examples/convnet.py

Images of one bar, horizontal, vertical or diagonal, in noise. Behind a convolution the units stand
at every position of the feature map; the pooling behind them is the nonlinearity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vneuron as vn

SIZE = 12


def bars(n: int, seed: int, noise: float = 0.6) -> tuple[Tensor, Tensor]:
    """Images [n, 1, 12, 12], and the direction of the bar in each."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, 3, (n,), generator=generator)
    place = torch.randint(2, SIZE - 2, (n, 1, 1), generator=generator)
    row, column = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    directions = torch.stack([row - place, column - place, row - column + place - SIZE // 2])
    on = (directions[label, torch.arange(n)] == 0).float()
    image = on + noise * torch.randn(n, SIZE, SIZE, generator=generator)
    return image[:, None], label


def network(activation: Callable[[int], nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        activation(8),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1),
        activation(12),
        nn.AdaptiveMaxPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 3),
    )


def train(model: nn.Module, steps: int, data: tuple[Tensor, Tensor]) -> None:
    collected = vn.Collect(model)
    vn.prepare_controls(collected, steps)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        rows = torch.randint(0, len(data[1]), (64,), generator=generator)
        logits, terms = collected(data[0][rows])
        nll = F.cross_entropy(logits, data[1][rows], reduction="none")
        loss = vn.free_energy(nll, terms, vn.penalties(collected, terms))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vn.control_step(collected, terms, optimizer)


class Fitted(NamedTuple):
    """Class probabilities, with ReLU and for each draw of units, on clear and on faint images."""

    plain: Tensor
    draws: Tensor
    label: Tensor
    plain_faint: Tensor
    draws_faint: Tensor
    health: vn.Health


def fit(steps: int, seed: int = 0) -> Fitted:
    torch.manual_seed(seed)
    data, test, held_out = (bars(n, 4 * seed + i) for i, n in enumerate((800, 1000, 200)))
    faint, _ = bars(1000, 4 * seed + 3, noise=2.0)

    plain = network(lambda n: nn.ReLU())
    living = network(lambda n: vn.EachPosition(vn.GaussianUnits(n, n, beta=1e-4)))  # the one line

    for model in (plain, living):
        train(model, steps, data)

    vn.measure_use(
        living, lambda: F.cross_entropy(living(held_out[0]), held_out[1], reduction="none")
    )
    with torch.no_grad():
        return Fitted(
            plain(test[0]).softmax(-1),
            vn.draw_outputs(living, test[0], draws=16).softmax(-1),
            test[1],
            plain(faint).softmax(-1),
            vn.draw_outputs(living, faint, draws=16).softmax(-1),
            vn.health(living),
        )


def main(steps: int = 300, seed: int = 0) -> dict[str, float]:
    fitted = fit(steps, seed)
    wrong = fitted.draws.mean(0).argmax(-1) != fitted.label
    doubt = vn.categorical_information(fitted.draws)
    health = fitted.health
    found = {
        "accuracy_relu": (fitted.plain.argmax(-1) == fitted.label).float().mean().item(),
        "accuracy_units": 1.0 - wrong.float().mean().item(),
        "doubt_where_right": doubt[~wrong].mean().item(),
        "doubt_where_wrong": doubt[wrong].mean().item(),
        "alive": float(health.units["alive"].mean()),
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
