"""ETTh1 as published protocols have it (L=336, H=96, 8640/2880/2880): scores of one seed.

Minutes of work, so only `-m slow` runs it; it is skipped where the data are not beside us.
"""

import json

import pytest

from vneuron.cli.app import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(shared_data, tmp_path_factory):
    import contextlib
    import io
    import sys

    path = shared_data / "ett" / "ETTh1.csv.gz"
    if not path.is_file():
        pytest.skip(f"real data not found at {path}")
    out, before = io.StringIO(), sys.argv
    sys.argv = [
        "vneuron", "fit", str(path), "--horizon", "96", "--input-size", "336", "--train-size",
        "8640", "--val-size", "2880", "--test-size", "2880", "--device", "cpu", "--seed", "0",
        "--out", str(tmp_path_factory.mktemp("etth1") / "run"), "--json", "--quiet",
    ]  # fmt: skip
    try:
        with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
            main()
    finally:
        sys.argv = before
    return json.loads(out.getvalue())


def test_every_window_of_every_series_is_scored(found):
    assert found["windows"] == 2785 * 7


@pytest.mark.parametrize(
    ("score", "low", "high"),
    [
        ("mse", 0.0, 0.370),
        ("crps", 0.0, 0.281),
        ("nll", 0.0, 0.62),
        ("coverage_80", 0.78, 0.83),
        ("joint_nll", -1.0, 0.02),
        ("path_coverage_80", 0.77, 0.85),
    ],
)
def test_the_bars(found, score, low, high):
    assert low <= found["test"]["EVE"][score] <= high


def test_dependence_is_what_the_independent_heads_lack(found):
    test = found["test"]
    for independent in ("twin", "linear"):
        assert test[independent]["joint_nll"] > test["EVE"]["joint_nll"] + 0.4
        assert test[independent]["path_coverage_80"] < 0.4
    assert test["EVE"]["joint_nll"] <= test["lowrank"]["joint_nll"] + 0.02


def test_known_points_of_comparison(found):
    """repeat-last's published MSE on this protocol is 1.295 (LTSF-Linear); ours must be that."""
    assert found["test"]["repeat_last"]["mse"] == pytest.approx(1.295, abs=0.01)
