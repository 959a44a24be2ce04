"""Do intervals hold: for steps, for sums, for the maximum and the ramp of the window?

EVE, its twin, the linear and the static low-rank model, a deep ensemble of five twins, and
conformal intervals per step, all in one run. Coverage of central intervals and their width, by
quantity, lead time and series, with 95% intervals by a bootstrap of whole blocks of origins, since
windows overlap. Sums are exact, but for the conformal model, whose steps are independent and whose
sums are taken as Gaussian; the maximum and the ramp (largest change between neighbouring steps,
with its sign) come from joint draws: as they are, and widened by what each model's draws missed on
validation windows, which is what `EVEForecaster.aggregate` gives.

    python benchmarks/forecasting/intervals.py ETTh1.csv --block 24
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from bootstrap import means
from harness.scoring import Forecast
from trained import name_of, parser, ready, workshop

from vneuron.figures.reliability import reliability_curve
from vneuron.figures.style import blank_figure, model_colors
from vneuron.forecasting.aggregate import over_blocks
from vneuron.forecasting.data.windows import windows_between
from vneuron.forecasting.intervals import array
from vneuron.forecasting.scoring.scores import crps_ensemble
from vneuron.forecasting.widening import Widening

MODELS = ("EVE", "lowrank", "twin", "linear", "ensemble", "point_conformal")
LEVELS = (0.5, 0.8, 0.9, 0.95)
QUANTITIES = (
    "step", "block", "window", "maximum", "maximum, widened", "ramp", "ramp, widened",
)  # fmt: skip
CURVE = tuple(np.round(np.linspace(0.05, 0.95, 19), 2))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--block", type=int, default=24, help="steps of the shorter sums")
    options.add_argument(
        "--step",
        type=int,
        default=7,
        help="rows between windows; prime to the season, so that "
        "every hour of the day is an origin",
    )
    options.add_argument("--draws", type=int, default=400)
    arguments = options.parse_args()
    found = {(name, seed): {} for seed in arguments.seeds for name in MODELS}
    for seed in arguments.seeds:
        shop = workshop(arguments, seed)
        panel, material = shop.panel, shop.material
        windows = windows_between(
            material.flat,
            material.split.test,
            material.config.lookback,
            arguments.horizon,
            arguments.step,
        )
        for name, model in ready(shop, MODELS).items():
            widening = Widening.measure(model.forecast, material.validation, seed)
            judged = judge(model.forecast, windows, len(panel), arguments, seed, widening)
            found[name, seed] = judged
    folder = arguments.out / "intervals" / f"{name_of(arguments)}-{arguments.horizon}"
    folder.mkdir(parents=True, exist_ok=True)
    block = -(-2 * arguments.horizon // arguments.step)  # windows this far apart share no target
    quantities = table(found, arguments, block)
    reliability(found).to_parquet(folder / "reliability.parquet", index=False)
    quantities.to_parquet(folder / "intervals.parquet", index=False)
    print(f"{name_of(arguments)}: {len(windows):,} windows, every {arguments.step} rows; 80%:")
    print_table(quantities)
    by_part(found, arguments, panel.ids, block).to_parquet(folder / "coverage.parquet")
    print_parts(found, panel.ids)
    plots(found, folder, panel.ids)


def judge(
    model: Forecast, windows, series: int, arguments, seed: int, widening: Widening
) -> dict[str, dict[str, np.ndarray]]:
    """By quantity: PIT, width of the 80% interval, CRPS, each [series, origins(, parts)]."""
    horizon, block = arguments.horizon, arguments.block
    generator = torch.Generator().manual_seed(seed)
    random = np.random.default_rng(seed)
    blocks = horizon // block
    sums = torch.zeros(horizon, blocks + 1, dtype=torch.float64)
    for part in range(blocks):
        sums[part * block : (part + 1) * block, part] = 1.0
    sums[:, blocks] = 1.0
    parts: dict[str, list] = {key: [] for key in QUANTITIES}
    with torch.no_grad():
        for batch in windows.batches(256):
            path, y = model(batch), batch.target.double()
            path = path.rescale(torch.zeros(len(y)), torch.ones(len(y)))
            parts["step"].append(exact(path.steps(), y.numpy()))
            both = exact(path.functional(sums), (y @ sums).numpy())
            parts["block"].append([each[:, :blocks] for each in both])
            parts["window"].append([each[:, blocks] for each in both])
            draws = array(path.sample(arguments.draws, generator))
            for name, statistic in (("maximum", "max"), ("ramp", "ramp")):
                of_draws, of_y = (
                    over_blocks(statistic, paths, horizon)[:, :, 0]
                    for paths in (draws, y.numpy()[:, None])
                )
                found = drawn(of_draws, of_y[:, 0], random)
                parts[name].append(found)
                parts[f"{name}, widened"].append(widened(found, of_draws, widening, statistic))
    return {
        key: {
            what: np.concatenate([part[i] for part in own]).reshape(
                series, -1, *own[0][i].shape[1:]
            )
            for i, what in enumerate(("pit", "width", "crps"))
        }
        for key, own in parts.items()
    }


def exact(law, y: np.ndarray) -> list[np.ndarray]:
    return [law.cdf(y), law.quantile(0.9) - law.quantile(0.1), law.crps(y)]


def drawn(draws: np.ndarray, y: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """The same from draws [windows, S]: the rank, at random among ties and at the ends."""
    below = (draws < y[:, None]).sum(-1)
    pit = (below + random.random(len(y))) / (draws.shape[1] + 1)
    low, high = np.quantile(draws, [0.1, 0.9], axis=-1)
    return [pit, high - low, crps_ensemble(y, draws)]


def widened(
    found: list[np.ndarray], draws: np.ndarray, widening: Widening, statistic: str
) -> list[np.ndarray]:
    """The same of widened intervals: a rank moves to the level whose interval just holds it."""
    pit, _, crps = found
    horizon = int(widening.blocks[-1])
    levels = np.linspace(1.0, 100.0, 199)
    taken = [widening.level(statistic, horizon, level) for level in levels]
    level = np.interp(np.abs(2.0 * pit - 1.0), np.array(taken) / 100, levels / 100)
    wide = widening.level(statistic, horizon, 80.0) / 200
    low, high = np.quantile(draws, [0.5 - wide, 0.5 + wide], axis=-1)
    return [0.5 + np.sign(pit - 0.5) * level / 2, high - low, crps]


def covered(pit: np.ndarray, level: float) -> np.ndarray:
    return np.abs(pit - 0.5) <= level / 2


def over_seeds(found, name: str, quantity: str, what: str, seeds) -> np.ndarray:
    return np.stack([found[name, seed][quantity][what] for seed in seeds])


def table(found, arguments, block: int) -> pd.DataFrame:
    """Coverage at each level, width and CRPS by model and quantity, with bootstrap intervals."""
    rows = []
    for name in MODELS:
        for quantity in found[name, arguments.seeds[0]]:
            pit = over_seeds(found, name, quantity, "pit", arguments.seeds)
            row: dict[str, object] = {"model": name, "quantity": quantity}
            for level in LEVELS:
                by_origin = origins(covered(pit, level).astype(float))
                low, high = np.quantile(means(by_origin, block), [0.025, 0.975])
                row |= {f"cover {level:.2f}": by_origin.mean(), f"low {level:.2f}": low}
                row[f"high {level:.2f}"] = high
            for what in ("width", "crps"):
                values = over_seeds(found, name, quantity, what, arguments.seeds)
                row[what] = values.mean()
                row[f"{what} sd"] = values.reshape(len(values), -1).mean(1).std(ddof=1)
            rows.append(row)
    return pd.DataFrame(rows)


def origins(values: np.ndarray) -> np.ndarray:
    """Mean over all but origins: [seeds, series, origins, ...] to [origins]."""
    return np.moveaxis(values, 2, 0).reshape(values.shape[2], -1).mean(1)


def reliability(found) -> pd.DataFrame:
    """Coverage at levels .05 to .95 by model and quantity, over seeds, series and windows."""
    rows = []
    for name in MODELS:
        for quantity in next(iter(found.values())):
            pits = [own[quantity]["pit"] for (model, _), own in found.items() if model == name]
            for level in CURVE:
                held = float(np.mean([covered(pit, level).mean() for pit in pits]))
                row = {"model": name, "quantity": quantity, "level": level, "coverage": held}
                rows.append(row)
    return pd.DataFrame(rows)


def print_table(frame: pd.DataFrame) -> None:
    shown = frame[["quantity", "model"]].copy()
    for level in (0.8, 0.95):
        key = f"{level:.2f}"
        shown[f"{level:.0%}"] = [
            f"{row[f'cover {key}']:.3f} [{row[f'low {key}']:.3f}, {row[f'high {key}']:.3f}]"
            for _, row in frame.iterrows()
        ]
    shown["width"], shown["crps"] = frame["width"].round(3), frame["crps"].round(4)
    print(shown.sort_values("quantity", kind="stable").to_string(index=False))


def by_part(found, arguments, ids, block: int) -> pd.DataFrame:
    """Coverage of 80% intervals by lead time and by series, with bootstrap intervals."""
    rows = []
    for name in MODELS:
        pit = over_seeds(found, name, "step", "pit", arguments.seeds)
        inside = covered(pit, 0.8).astype(float).mean(0)  # [series, origins, H]
        for what, values in (("lead", inside.mean(0)), ("series", inside.mean(2).T)):
            low, high = np.quantile(means(values, block), [0.025, 0.975], axis=0)
            for part, mean in enumerate(values.mean(0)):
                key = ids[part] if what == "series" else str(part + 1)
                row = {"model": name, "by": what, "part": key, "coverage": mean}
                rows.append(row | {"low": low[part], "high": high[part]})
    return pd.DataFrame(rows)


def print_parts(found, ids) -> None:
    """The spread of 80% coverage over lead times and over series."""
    for name in MODELS:
        runs = [own for (model, _), own in found.items() if model == name]
        step = np.mean([covered(own["step"]["pit"], 0.8) for own in runs], 0)
        window = np.mean([covered(own["window"]["pit"], 0.8) for own in runs], 0)
        lead, own, sums = step.mean((0, 1)), step.mean((1, 2)), window.mean(1)
        print(
            f"{name}: steps by lead time {lead.min():.3f} to {lead.max():.3f} (first "
            f"{lead[0]:.3f}, last {lead[-1]:.3f}), by series {own.min():.3f} "
            f"({ids[int(own.argmin())]}) to {own.max():.3f} ({ids[int(own.argmax())]}); "
            f"window sums by series {sums.min():.3f} to {sums.max():.3f}"
        )


def plots(found, folder, ids) -> None:
    """Reliability by quantity, and coverage by lead time, as one page."""
    titles = {
        "step": "steps", "block": "shorter sums", "window": "sums over the window",
        "maximum, widened": "maxima, widened,", "ramp, widened": "ramps, widened,",
    }  # fmt: skip
    parts = []
    for quantity, title in titles.items():
        curves = {}
        for name in MODELS:
            pits = np.stack([own[quantity]["pit"] for (m, _), own in found.items() if m == name])
            curves[name] = CURVE, [float(covered(pits, level).mean()) for level in CURVE]
        figure = reliability_curve(curves, what=f"{title} covered")
        parts.append(figure)
    lead = blank_figure(x="lead time, steps", y="steps covered by the 80% interval", height=340)
    colors = model_colors(MODELS)
    for name in MODELS:
        pits = np.stack([own["step"]["pit"] for (m, _), own in found.items() if m == name])
        y = covered(pits, 0.8).mean((0, 1, 2))
        lead.add_scatter(x=np.arange(len(y)) + 1, y=y, name=name, line={"color": colors[name]})
    parts.append(lead)
    page = "".join(
        figure.to_html(
            full_html=False, include_plotlyjs=not number, config={"displayModeBar": False}
        )
        for number, figure in enumerate(parts)
    )
    path = folder / "intervals.html"
    style = "<style>body{display:grid;grid-template-columns:repeat(3,1fr);background:#fff}</style>"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>Intervals</title>{style}{page}")
    print(f"plots: {path}")


if __name__ == "__main__":
    main()
