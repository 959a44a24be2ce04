"""How cost grows with units, series, horizon and draws, with fitted exponents.

    python benchmarks/speed/scaling.py [--out scaling.html]

Medians of CPU time; each exponent is the slope of a line through log time over log size, over the
upper half of the sizes, where constants have faded. Beside it the exponent of what the arithmetic
says for those sizes: its operations counted, with overheads left out. Two figures are written, as
HTML and, where kaleido has a browser, as PNG.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from measure import Work, paired

import vneuron as vn
from vneuron.forecasting.frames import MOST_DRAWN
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.task import TrajectoryObjective

INPUT, HIDDEN = 336, 256


class Curve(NamedTuple):
    """Cost over one size.

    Attributes:
        label: what is done.
        size: what grows.
        sizes: how far.
        build: from a size, what to time.
        operations: from a size, multiplications and additions.
    """

    label: str
    size: str
    sizes: Sequence[int]
    build: Callable[[int], Work]
    operations: Callable[[int], float]


def trunk(batch: int, horizon: int) -> float:
    """Multiply-adds of the network's own products, forward and backward."""
    return batch * (2 * INPUT * horizon + 2 * INPUT * HIDDEN + 3 * HIDDEN * horizon)


def step(units: int, horizon: int, batch: int, scale: str) -> Work:
    """Forward and backward of the forecaster's objective."""
    torch.manual_seed(0)
    layer = vn.GaussianUnits(HIDDEN, units, scale=scale, beta=0.1)  # type: ignore[arg-type]
    network = TrajectoryNetwork(INPUT, horizon, units=layer, hidden=HIDDEN)
    objective = TrajectoryObjective(network)
    context, target = torch.randn(batch, INPUT), torch.randn(batch, horizon)

    def work() -> None:
        nll, terms, penalty, _ = objective(context, target)
        vn.free_energy(nll, terms, penalty).backward()
        objective.zero_grad()

    return work


def joint_operations(units: int, horizon: int, batch: int, *, static: bool) -> float:
    """Trunk, products with W and R and to the units, and the factors: N³ for factor and inverse."""
    factors = 1 if static else batch
    products = batch * units * ((2 if static else 4) * HIDDEN + 11 * horizon)
    return trunk(batch, horizon) + products + 2 * horizon * units**2 + factors * units**3


def forecasting(series: int) -> Work:
    """Forecasts of so many contexts, in batches of 1,024, with their 80% intervals."""
    torch.manual_seed(0)
    network = TrajectoryNetwork(INPUT, 96, units=vn.GaussianUnits(HIDDEN, 32)).eval()
    context = torch.randn(series, INPUT)

    @torch.no_grad()
    def work() -> None:
        for part in context.split(1024):
            law = network(part).steps()
            law.quantile(0.1), law.quantile(0.9)

    return work


def sampling(draws: int) -> Work:
    """Joint paths of 20 windows, so many windows at a time as the forecaster takes."""
    torch.manual_seed(0)
    at_once = max(1, MOST_DRAWN // (draws * 96))
    loading, df = torch.randn(96, 32), torch.tensor(5.0)
    parts = [
        TrajectoryDistribution(
            torch.randn(len(part), 96),
            torch.rand(len(part), 96) + 0.1,
            df,
            loading,
            torch.rand(len(part), 32),
        )
        for part in torch.arange(20).split(at_once)
    ]

    def work() -> None:
        for part in parts:
            part.sample(draws)

    return work


CURVES = (
    Curve(
        "joint step, batch 64",
        "units",
        (16, 32, 64, 128, 256, 512, 1024),
        lambda n: step(n, 96, 64, "input"),
        lambda n: joint_operations(n, 96, 64, static=False),
    ),
    Curve(
        "static step, batch 64",
        "units",
        (16, 32, 64, 128, 256, 512, 1024),
        lambda n: step(n, 96, 64, "per_unit"),
        lambda n: joint_operations(n, 96, 64, static=True),
    ),
    Curve(
        "joint step, batch 256, 32 units",
        "horizon",
        (24, 48, 96, 192, 384, 768),
        lambda h: step(32, h, 256, "input"),
        lambda h: joint_operations(32, h, 256, static=False),
    ),
    Curve(
        "forecast with intervals",
        "series",
        (100, 300, 1_000, 3_000, 10_000, 30_000),
        forecasting,
        float,
    ),
    Curve("joint paths of 20 windows", "draws", (10, 30, 100, 300, 1_000, 3_000), sampling, float),
)


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Exponent over the upper half of the sizes."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(values[half:]), 1)[0])


def draw(curves: list[tuple[Curve, list[float], float, float]], out: Path) -> None:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    axes = list(dict.fromkeys(curve.size for curve, *_ in curves))
    figure = make_subplots(1, len(axes), shared_yaxes=True, horizontal_spacing=0.03)
    for curve, times, found, expected in curves:
        column = axes.index(curve.size) + 1
        name = f"{curve.label}: {found:.2f} (arithmetic {expected:.2f})"
        figure.add_trace(
            go.Scatter(x=list(curve.sizes), y=times, mode="lines+markers", name=name), 1, column
        )
        figure.update_xaxes(type="log", title=curve.size, row=1, col=column)
    figure.update_yaxes(type="log")
    figure.update_yaxes(title="CPU ms", col=1)
    figure.update_layout(
        template="plotly_white",
        width=1200,
        height=520,
        legend={"orientation": "h", "y": -0.2},
        margin={"t": 20},
    )
    figure.write_html(out, include_plotlyjs=True)
    print(f"written: {out}")
    try:
        figure.write_image(out.with_suffix(".png"), scale=1)
        print(f"written: {out.with_suffix('.png')}")
    except (ValueError, RuntimeError, OSError) as error:
        print(f"no PNG: {str(error).splitlines()[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("scaling.html"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    drawn = []
    for curve in CURVES:
        works = {str(size): curve.build(size) for size in curve.sizes}
        found = paired(works, str(curve.sizes[0]), rounds=options.rounds, warm=1)
        times = [found[str(size)].milliseconds for size in curve.sizes]
        exponent = slope(curve.sizes, times)
        expected = slope(curve.sizes, [curve.operations(size) for size in curve.sizes])
        drawn.append((curve, times, exponent, expected))
        pairs = ", ".join(f"{s}: {t:.2f}" for s, t in zip(curve.sizes, times, strict=True))
        print(f"{curve.label}, ms by {curve.size}: {pairs}")
        word = "holds" if exponent <= expected + 0.1 else "MISSED"
        print(f"{word:<7}exponent {exponent:.2f}, arithmetic {expected:.2f} (bar: + .1 at most)")
    draw(drawn, options.out)


if __name__ == "__main__":
    main()
