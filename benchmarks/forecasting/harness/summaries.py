"""What a page says of the rows: each block a name and a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from faults import FAULTS

from .chosen import CASE, case, mean_of, paired, stronger
from .published import DUET_MSE, PATCHTST_MSE, PROBTS_CRPS
from .results import Results
from .tables import PROBTS, SHOWN, bare, mean_and_spread

ORDER = (
    "EVE", "EVE_ensemble", "lowrank", "full_student", "twin", "linear", "ensemble", "mc_dropout",
    "quantile", "lowrank_gaussian", "full_gaussian", "point_gaussian", "point_conformal", "ridge",
    "nf_patchtst", "nf_patchtst_student", "nf_nhits_student", "seasonal_naive", "repeat_last",
)  # fmt: skip
NAMES = {
    "EVE": "**EVE**", "EVE_ensemble": "ensemble of 5 EVEs", "lowrank": "static low-rank",
    "full_student": "full correlation, t", "twin": "deterministic twin", "linear": "linear",
    "ensemble": "ensemble of 5 twins",
    "mc_dropout": "MC dropout, 10 passes", "quantile": "19 quantiles",
    "lowrank_gaussian": "static low-rank, Gaussian", "full_gaussian": "full covariance, Gaussian",
    "point_gaussian": "point + residual spread", "point_conformal": "point + conformal",
    "ridge": "ridge + residual spread", "nf_patchtst": "PatchTST, neuralforecast",
    "nf_patchtst_student": "PatchTST + Student t, neuralforecast",
    "nf_nhits_student": "NHITS + Student t, neuralforecast", "seasonal_naive": "last season",
    "repeat_last": "last value",
}  # fmt: skip
DATA_NAMES = {"exchange_rate": "Exchange", "weather": "Weather", "national_illness": "ILI"}
QUANTITIES = {
    "step": "steps", "block": "shorter sums", "window": "sum over the window",
    "maximum": "maximum", "maximum, widened": "maximum, widened", "ramp": "ramp",
    "ramp, widened": "ramp, widened",
}  # fmt: skip


@dataclass(frozen=True)
class Summaries:
    """Blocks by name, from result files.

    Attributes:
        results: the files.
        rows: those that are shown.
        folder: where further scripts left theirs (`intervals`, `novelty`).
    """

    results: Results
    rows: pd.DataFrame
    folder: Path

    def write(self, name: str) -> str | None:
        """A block by its name; None where there is no such block, or nothing to put in it yet."""
        kind, *rest = name.split()
        if kind == "scores" and len(rest) == 3:
            return self.scores(rest[0], rest[1], int(rest[2]))
        if kind == "intervals" and len(rest) == 2:
            return self.intervals(rest[0], int(rest[1]))
        whole = {
            "accuracy": self.accuracy, "dependence": self.dependence, "probts": self.probts,
            "ensemble": self.ensemble, "coverage": self.coverage, "options": self.options,
        }  # fmt: skip
        return whole[kind]() if kind in whole and not rest else None

    def cases(self, protocol: str) -> list[tuple[str, int, pd.DataFrame]]:
        """Data sets and horizons that have EVE's row, with all their rows."""
        found = []
        for (data, kind, horizon), rows in self.rows.groupby(CASE, sort=False):
            if kind == protocol and "EVE" in set(rows["model"]):
                found.append((data, int(horizon), rows))
        order = list(DUET_MSE)
        place = {name: number for number, name in enumerate(order)}
        return sorted(found, key=lambda one: (place.get(one[0], len(order)), one[0], one[1]))

    def scores(self, data: str, protocol: str, horizon: int) -> str | None:
        """Every model of a case, mean (sd) over seeds; nothing before EVE itself has a row."""
        rows = case(self.rows, data, protocol, horizon)
        if "EVE" not in set(rows["model"]):
            return None
        rank = {name: number for number, name in enumerate(ORDER)}
        rows = rows.sort_values("model", key=lambda c: c.map(rank), kind="stable")
        columns = PROBTS if protocol == "B" else SHOWN
        frame = mean_and_spread(rows, columns).reset_index()
        frame["model"] = frame["model"].map(lambda name: NAMES.get(name, name))
        looks = " or ".join(str(n) for n in sorted(set(rows["input_size"])))
        said = f"{int(rows['windows'].iloc[0]):,} windows, look-back {looks}."
        return f"{markdown(frame)}\n\n{said}"

    def accuracy(self) -> str | None:
        """Protocol A, point and marginal: EVE over the stronger independent head, and published."""
        rows = []
        for data, horizon, own in self.cases("A"):
            mse, crps = mean_of(own, "EVE", "mse"), mean_of(own, "EVE", "crps")
            best = {score: stronger(own, score) for score in ("mse", "crps")}
            row = {"data": shown(data), "H": horizon, "MSE": number(mse), "CRPS": number(crps)}
            for score, value in (("mse", mse), ("crps", crps)):
                name = best[score]
                other = mean_of(own, name, score) if name else None
                title = f"{score.upper()} / best independent"
                row[title] = f"{ratio(value, other)} ({name})" if name else "–"
            theirs = mean_of(own, "nf_patchtst", "mse")
            row["MSE / PatchTST here"] = ratio(mse, theirs)
            row["MSE / DUET"] = ratio(mse, DUET_MSE.get(data, {}).get(horizon))
            row["MSE / PatchTST published"] = ratio(mse, PATCHTST_MSE.get(data, {}).get(horizon))
            rows.append(row)
        return markdown(pd.DataFrame(rows)) if rows else None

    def dependence(self) -> str | None:
        """Joint NLL and energy of EVE less that of others, with paired intervals."""
        rows = []
        for data, horizon, own in self.cases("A"):
            row: dict[str, object] = {"data": shown(data), "H": horizon}
            row["joint NLL"] = number(mean_of(own, "EVE", "joint_nll"))
            name = stronger(own, "joint_nll")
            for title, other in (
                ("− best independent", name), ("− static low-rank", "lowrank"),
                ("− full correlation", "full_student"), ("− ensemble", "ensemble"),
            ):  # fmt: skip
                row[title] = self.gap(own, other, "joint_nll")
            row["energy − best independent"] = self.gap(own, stronger(own, "energy"), "energy")
            row["living units"] = living(own)
            rows.append(row)
        return markdown(pd.DataFrame(rows)) if rows else None

    def gap(self, rows: pd.DataFrame, other: str | None, score: str) -> str:
        found = None if other is None else paired(self.results, rows, "EVE", other, score)
        if found is None:
            return "–"
        mean, low, high = (bare(value, 4) for value in found)
        return f"{mean} [{low}, {high}]"

    def coverage(self) -> str | None:
        """Coverage of steps and of the window's mean, by model."""
        rows = []
        models = ("EVE", "lowrank", "full_student", "twin", "ensemble", "point_conformal")
        for data, horizon, own in self.cases("A"):
            row: dict[str, object] = {"data": shown(data), "H": horizon}
            for name in models:
                steps = number(mean_of(own, name, "coverage_80"), 3)
                paths = number(mean_of(own, name, "path_coverage_80"), 3)
                row[NAMES[name].replace("*", "")] = f"{steps}, {paths}"
            rows.append(row)
        return markdown(pd.DataFrame(rows)) if rows else None

    def probts(self) -> str | None:
        """Protocol B beside the lowest published CRPS."""
        rows = []
        for data, horizon, own in self.cases("B"):
            best = PROBTS_CRPS.get(data, {}).get(horizon)
            crps = mean_of(own, "EVE", "probts_crps")
            windows = int(own["windows"].iloc[0]) // int(own["series"].iloc[0])
            row = {"data": shown(data), "H": horizon, "windows": windows, "CRPS": number(crps)}
            row["NMAE"] = number(mean_of(own, "EVE", "probts_nmae"))
            row["best published"] = number(best, 3)
            row["ratio"] = ratio(crps, best)
            for name in ("lowrank", "twin", "linear", "ensemble", "ridge", "seasonal_naive"):
                row[NAMES[name]] = number(mean_of(own, name, "probts_crps"))
            rows.append(row)
        return markdown(pd.DataFrame(rows)) if rows else None

    def ensemble(self) -> str | None:
        """EVE and five twins: joint scores, novelty and cost."""
        rows = []
        for data, horizon, own in self.cases("A"):
            if "ensemble" not in set(own["model"]):
                continue
            novelty = self.folder / "novelty" / f"{data}-{horizon}.parquet"
            told = pd.read_parquet(novelty) if novelty.exists() else pd.DataFrame()
            for name, column in (("EVE", "novelty"), ("ensemble", "ensemble")):
                row: dict[str, object] = {"data": shown(data), "H": horizon, "model": NAMES[name]}
                for title, score, digits in (
                    ("joint NLL", "joint_nll", 4), ("energy", "energy", 4), ("CRPS", "crps", 4),
                    ("path 80%", "path_coverage_80", 3),
                    ("training, CPU s", "train_cpu_seconds", 0),
                ):  # fmt: skip
                    row[title] = number(mean_of(own, name, score), digits)
                seconds = mean_of(own, name, "forecast_cpu_seconds")
                windows = mean_of(own, name, "windows")
                cost = None if seconds is None or not windows else 1e6 * seconds / windows
                row["forecast, CPU µs a window"] = number(cost, 0)
                row["novelty AUROC"] = number(auroc(told, column), 3)
                rows.append(row)
        return markdown(pd.DataFrame(rows)) if rows else None

    def intervals(self, data: str, horizon: int) -> str | None:
        """Coverage of 80% intervals with its own interval, then width, from intervals.py."""
        path = self.folder / "intervals" / f"{data}-{horizon}" / "intervals.parquet"
        if not path.exists():
            return None
        frame = pd.read_parquet(path)
        rows = []
        for quantity, title in QUANTITIES.items():
            row: dict[str, object] = {shown(data): title}
            for _, one in frame[frame["quantity"] == quantity].iterrows():
                name = NAMES[one["model"]].replace("*", "")
                low, high = (bare(one[f"{end} 0.80"], 3) for end in ("low", "high"))
                row[name] = f"{bare(one['cover 0.80'], 3)} [{low}, {high}]; {one['width']:.3g}"
            rows.append(row)
        return markdown(pd.DataFrame(rows))

    def options(self) -> str | None:
        """How long was trained and what was scored, for every option that is not the default."""
        if self.rows.empty:
            return None
        told: dict[str, list[str]] = {}
        for (data, protocol), rows in self.rows.groupby(["data", "protocol"], sort=False):
            for options, same in rows.groupby("options", sort=False):
                models = sorted(set(same["model"]), key=lambda n: (n not in ORDER, n))
                text = described(json.loads(str(options)), same)
                told.setdefault(text, []).append(f"{shown(data)} {protocol} ({', '.join(models)})")
        return "\n".join(f"- {text}: {'; '.join(where)}." for text, where in told.items())


def described(options: dict[str, object], rows: pd.DataFrame) -> str:
    parts = [f"look-back {options['input_size']}"]
    if options["step"] != 1:
        parts.append(f"every {options['step']}th window of the protocol")
    if options["max_steps"]:
        parts.append(f"at most {options['max_steps']} steps an epoch")
    if options.get("nf_steps"):
        parts.append(f"{options['nf_steps']} steps of training")
    settings = options["set"] if isinstance(options["set"], dict) else {}
    parts += [f"{name}={value}" for name, value in settings.items()]
    parts.append(f"seeds {', '.join(str(n) for n in sorted(set(rows['seed'])))}")
    return ", ".join(parts)


def living(rows: pd.DataFrame) -> str:
    """Of EVE's units, by their verdicts, mean over seeds."""
    if "unit_verdicts" not in rows:
        return "–"
    found = [
        json.loads(text) for text in rows.loc[rows["model"] == "EVE", "unit_verdicts"].dropna()
    ]
    if not found:
        return "–"
    count = sum(one.get("living", 0) for one in found) / len(found)
    return f"{count:.0f} of {sum(found[0].values())}"


def auroc(told: pd.DataFrame, column: str) -> float | None:
    """Mean over injected faults and seeds; windows of other data sets are not among them."""
    if column not in told:
        return None
    return float(told.loc[told["case"].isin(FAULTS), column].mean())


def shown(data: str) -> str:
    return DATA_NAMES.get(data, data)


def number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None or pd.isna(value) else bare(value, digits)


def ratio(value: float | None, other: float | None) -> str:
    return "–" if value is None or not other else bare(value / other, 3)


def markdown(frame: pd.DataFrame) -> str:
    """A table in Markdown."""
    lines: list[Sequence[object]] = [list(frame.columns), *frame.astype(str).to_numpy().tolist()]
    rows = ["| " + " | ".join(map(str, line)) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * frame.shape[1], *rows[1:]])
