"""Grating fits find the grating that an atom was made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vneuron.imaging.evaluation import fit_gratings, grating


def gabor(theta: float, frequency: float, phase: float, width: float = 3.0) -> np.ndarray:
    y, x = np.mgrid[:16, :16] - 7.5
    along = x * np.cos(theta) + y * np.sin(theta)
    return np.exp(-(x**2 + y**2) / (2 * width**2)) * np.cos(2 * np.pi * frequency * along + phase)


def test_a_grating_is_a_wave_of_unit_contrast() -> None:
    wave = grating((32, 32), orientation=0.0, frequency=0.125, phase=0.3)
    assert float(wave.square().mean()) == pytest.approx(1.0, abs=1e-5)
    x = torch.arange(32) - 15.5
    expected = 2**0.5 * torch.cos(2 * math.pi * 0.125 * x + 0.3)
    torch.testing.assert_close(wave[7], expected)
    turned = grating((32, 32), orientation=math.pi / 2, frequency=0.125, phase=0.3)
    torch.testing.assert_close(turned, wave.T, atol=1e-4, rtol=0)


@given(
    theta=st.floats(0, math.pi, exclude_max=True),
    frequency=st.floats(0.12, 0.35),
    phase=st.floats(-math.pi, math.pi),
    strength=st.floats(-5, 5).filter(lambda v: abs(v) > 0.01),
)
def test_gabors_are_found(theta: float, frequency: float, phase: float, strength: float) -> None:
    row = fit_gratings(strength * gabor(theta, frequency, phase)[None], orientations=36).iloc[0]
    apart = (row["orientation"] - math.degrees(theta) + 90) % 180 - 90
    assert abs(apart) <= 5.0
    assert abs(math.log(row["frequency"] / frequency)) < 0.2
    assert row["selectivity"] > 0.5
    # The wave that is fitted has the atom's sign at its centre, where that is clear.
    centre = math.copysign(1, strength) * math.cos(phase)
    if abs(centre) > 0.5:
        assert math.cos(row["phase"]) * centre > 0


def test_a_quarter_turn_turns_the_fit_and_order_does_not_matter() -> None:
    atoms = np.stack([gabor(0.4, 0.2, 0.1), gabor(1.9, 0.15, 1.0)])
    one = fit_gratings(atoms)
    turned = fit_gratings(atoms.swapaxes(1, 2)[:, ::-1].copy())  # a turn by 90 degrees
    apart = (turned["orientation"] - one["orientation"]).to_numpy() % 180
    np.testing.assert_allclose(apart, 90.0)
    np.testing.assert_allclose(turned["energy"], one["energy"], rtol=1e-3)
    both = fit_gratings(atoms[::-1].copy())
    np.testing.assert_allclose(both.to_numpy()[::-1], one.to_numpy(), rtol=1e-4, atol=1e-4)


def test_blobs_choose_nothing_and_empty_atoms_say_so() -> None:
    y, x = np.mgrid[:16, :16] - 7.5
    rings = np.cos(2 * np.pi * 0.2 * np.hypot(x, y)) * np.exp(-(x**2 + y**2) / 18)
    table = fit_gratings(np.stack([rings, np.zeros((16, 16)), np.ones((16, 16))]))
    assert table["selectivity"][0] < 0.1
    assert np.isnan(table["bandwidth"][0])
    assert table.loc[1:].isna().all(axis=None)


def test_a_wider_window_is_tuned_more_narrowly() -> None:
    table = fit_gratings(np.stack([gabor(0.5, 0.2, 0.0, w) for w in (1.5, 2.5, 4.0)]))
    assert (np.diff(table["bandwidth"]) < 0).all()
    assert (np.diff(table["selectivity"]) > 0).all()
