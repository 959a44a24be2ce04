"""Tables and plots of docs/results/claims.md, from the studies' result files alone.

    python benchmarks/claims/page.py [--results runs/claims]

Blocks between `<!-- claims: NAME [argument] -->` and `<!-- end -->` are written anew; prose stays.
The results that the published page was made of lie beside the scripts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from study import more_tables, tables
from study.blocks import fill
from study.plots import PLOTS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STUDIES = (
    "controls",
    "latent_dim",
    "constraint_strength",
    "early_signal",
    "budgets",
    "two_knobs",
    "granularity",
    "checkpoints",
)
WRITERS = {**tables.WRITERS, **more_tables.WRITERS}
CAPTIONS = {
    "two_knobs": "Attained KL, autocorrelation and contraction over the set-point, by φ",
    "early_signal": "Share of units out of band, and validation NLL, at 25%, against test MSE",
    "constraint_strength": "MSE over the twin's, clean and corrupted, over the strength",
    "granularity": "Test NLL by where uncertainty lies, and KL by layer of stacks of units",
}


def read(folder: Path) -> dict[str, pd.DataFrame]:
    """The studies' tables that are there."""
    names = {name: folder / f"{name}.parquet" for name in STUDIES}
    return {name: pd.read_parquet(path) for name, path in names.items() if path.exists()}


def written(text: str, frames: dict[str, pd.DataFrame]) -> str:
    """The page with its tables made anew, and a word where a study has no rows yet."""

    def write(name: str) -> str:
        kind, *arguments = name.split()
        study = arguments[0] if kind == "plot" else WRITERS[kind].study
        if study not in frames:
            return f"*No rows yet: `python benchmarks/claims/{study}.py DATA_FOLDER`.*"
        if kind == "plot":
            return f"![{CAPTIONS[study]}](../assets/{PLOTS[study][0]})"
        return WRITERS[kind].write(frames, *arguments)

    return fill(text, write)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/results/claims.md")
    parser.add_argument("--assets", type=Path, default=ROOT / "docs/assets")
    parser.add_argument("--no-plots", action="store_true")
    options = parser.parse_args()
    frames = read(options.results)
    if not frames:
        raise SystemExit(
            f"{options.results} holds no rows: run `python benchmarks/claims/all.py DATA_FOLDER`"
        )
    options.page.write_text(written(options.page.read_text(), frames))
    print(f"written: {options.page}")
    if not options.no_plots:
        for study, (name, draw) in PLOTS.items():
            if study in frames:
                print(f"written: {draw(frames, options.assets / name)}")


if __name__ == "__main__":
    main()
