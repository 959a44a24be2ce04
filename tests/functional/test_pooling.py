"""Pooling of latent dimensions: shapes, stated variance, refusal."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from vneuron.functional.pooling import Activity, check_activity, pool


@pytest.mark.parametrize("activity", get_args(Activity))
def test_one_dimension_is_passed_on_as_it_is(activity: Activity) -> None:
    z = torch.randn(4, 3, 1)
    pooled = pool(z, activity)
    assert torch.equal(pooled, z if activity == "raw" else z[..., 0])


@pytest.mark.parametrize(
    ("activity", "factor"), [("mean", 1 / 3), ("sum", 3.0), ("scaled_sum", 1.0)]
)
def test_the_pooled_sample_has_the_stated_scale(activity: Activity, factor: float) -> None:
    n, k, scale = 50_000, 9, 0.7
    variance = pool(scale * torch.randn(n, 1, k), activity).var()
    assert (variance / (scale * factor) ** 2 - 1).abs() < 5 * math.sqrt(2 / n)


def test_raw_keeps_the_latent_dimensions() -> None:
    z = torch.randn(4, 3, 2)
    assert pool(z, "raw") is z


def test_an_unknown_activity_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"'max', expected one of \('mean'"):
        check_activity("max")
