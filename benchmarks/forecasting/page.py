"""Tables and plots of the results page, from the files that `run.py` and its kin have left.

    python benchmarks/forecasting/page.py runs/benchmarks

Blocks between `<!-- generated: NAME -->` and `<!-- end -->` are written anew; prose stays. NAME is
`scores DATA PROTOCOL HORIZON`, `accuracy`, `dependence`, `coverage`, `probts`, `ensemble`,
`intervals DATA HORIZON` (from intervals.py) or `options`. A block without results stays as it is,
and so do rows of those tables over data sets and horizons that were not run this time.
Of a model that was run with several sets of options, those run last are shown.

`--rows FILE` adds every row to one Parquet file, in place of what it held of the same runs: the
repository has that of its page, `benchmarks/forecasting/results/rows.parquet`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.blocks import fill, keeping
from harness.chosen import newest
from harness.published import DUET_MSE
from harness.results import Results, keep_rows
from harness.summaries import Summaries, shown
from harness.workshop import write_text

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"accuracy": 2, "dependence": 2, "coverage": 2, "probts": 2, "ensemble": 3}
DATA = [shown(name) for name in DUET_MSE]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="what run.py was given as --out")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/results/forecasting.md")
    parser.add_argument("--assets", type=Path, default=ROOT / "docs/assets")
    parser.add_argument("--paths-of", default="ETTh1", help="data set of the path plot")
    parser.add_argument(
        "--intervals-of",
        default="ETTh1-96",
        metavar="DATA-HORIZON",
        help="of the plot of what intervals.py left",
    )
    parser.add_argument("--only", nargs="+", help="kinds of blocks to write, e.g. accuracy scores")
    parser.add_argument("--no-plots", action="store_true")
    parser.add_argument("--rows", type=Path, help="Parquet file that is to hold every run's row")
    options = parser.parse_args()
    results = Results(options.folder)
    rows = newest(results)
    if rows.empty:
        raise SystemExit(f"{options.folder} holds no results: run benchmarks/forecasting/run.py")
    if options.rows is not None:
        print(f"{options.rows}: {len(keep_rows(options.rows, results.all()))} rows")
    summaries = Summaries(results, rows, options.folder)

    def write(name: str, old: str) -> str | None:
        kind = name.split()[0]
        new = summaries.write(name) if options.only is None or kind in options.only else None
        return new if new is None or kind not in KEYS else keeping(old, new, KEYS[kind], DATA)

    text, written, left = fill(options.page.read_text(), write)
    write_text(options.page, text)
    print(f"{options.page}: wrote {', '.join(written) or 'nothing'}")
    if left:
        print(f"left as they are: {', '.join(left)}", file=sys.stderr)
    if not options.no_plots:
        draw(results, rows, options)


def draw(results: Results, rows, options: argparse.Namespace) -> None:
    from harness.plots import intervals, paths, reliability

    held = options.folder / "intervals" / options.intervals_of
    for made in (
        reliability(rows, options.assets / "forecast-reliability.png"),
        paths(results, rows, options.paths_of, options.assets / "forecast-paths.png"),
        intervals(held, options.assets / "intervals.png"),
    ):
        print(made or "no results yet for a plot")


if __name__ == "__main__":
    main()
