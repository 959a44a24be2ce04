"""What every test shares: one thread, one seed, and the way to real data if it lies beside us."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

# Two workers on two cores: a second thread in each only costs time. Set before any tensor work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

# Tests prove properties, not speed: no deadline, and the same examples on every run of a commit.
settings.register_profile(
    "vneuron",
    deadline=None,
    derandomize=True,
    max_examples=40,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# `pytest --hypothesis-profile=search` looks longer and elsewhere each time.
settings.register_profile("search", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("vneuron")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """Each test starts from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  third-party code may read the global state
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _trial_steps() -> Iterator[int]:
    """What the data decide is decided in 32 steps; how many they are for a user."""
    from vneuron.forecasting import trial

    whole = trial.TRIAL_STEPS
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trial, "TRIAL_STEPS", 16)
        yield whole


@pytest.fixture(autouse=True)
def _whole_trials(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _trial_steps: int
) -> None:
    """Trials as they are, for tests that ask for them."""
    if request.node.get_closest_marker("whole_trials") is not None:
        monkeypatch.setattr("vneuron.forecasting.trial.TRIAL_STEPS", _trial_steps)


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the repository; skips the test where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"real data not found at {DATA}: lay it there to run this test")
    return DATA
