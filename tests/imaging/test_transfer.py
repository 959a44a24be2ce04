"""Errors on other images, streamed, against all at once."""

from __future__ import annotations

import numpy as np
import pytest

from vneuron.imaging import GaussianVAE, IterativePoissonVAE, PredictiveCoding
from vneuron.imaging.evaluation import settled_after, transfer


def test_errors_are_those_of_the_decoded_codes() -> None:
    rng = np.random.default_rng(0)
    images, other = rng.random((80, 5, 5)), rng.random((30, 5, 5)) ** 3
    model = IterativePoissonVAE(latents=10, steps=6, epochs=2, batch_size=20).fit(images)
    table = transfer(model, {"own": images[:9], "other": other}, [2, 12])
    assert list(table["set"]) == ["own", "own", "other", "other"]
    for row in table.itertuples():
        shown = images[:9] if row.set == "own" else other
        for column, kind in (("error", "sample"), ("error_map", "mean")):
            # transform draws once, at the end: only the first of our draws is the same.
            if kind == "sample" and row.step == 12:
                continue
            back = model.inverse_transform(model.transform(shown, steps=row.step, kind=kind))
            error = ((shown - back) ** 2).sum((1, 2)) / (shown**2).sum((1, 2))
            assert getattr(row, column) == pytest.approx(error.mean(), rel=1e-3)
            spread = error.std(ddof=1) / len(error) ** 0.5
            assert getattr(row, f"{column}_se") == pytest.approx(spread, rel=1e-2)


def test_a_model_of_one_step_stays_where_it_is() -> None:
    images = np.random.default_rng(0).random((80, 5, 5))
    table = transfer(GaussianVAE(latents=4, epochs=1).fit(images), {"own": images}, [1, 9])
    assert table["error_map"][0] == table["error_map"][1]


def test_steps_help_where_inference_is_iterative() -> None:
    images = np.random.default_rng(0).random((80, 5, 5))
    table = transfer(PredictiveCoding(latents=8, epochs=2).fit(images), {"own": images}, [1, 40])
    assert table["error_map"][1] < table["error_map"][0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.5, 0.5, 0.5], 1), ([0.1, 0.495, 0.5], 4), ([0.5, 0.1, 0.5], 9), ([0.1, 0.2, 0.5], 9)],
)
def test_settling_is_for_good(values: list[float], expected: int) -> None:
    assert settled_after([1, 4, 9], values) == expected
