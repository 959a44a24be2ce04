"""What white noise reveals of neurons: their spike-triggered averages, summed up on the way."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .circuit import Circuit

__all__ = ["spike_triggered_average"]


def spike_triggered_average(
    circuit: Circuit,
    steps: int,
    lags: int = 16,
    *,
    trials: int = 100,
    warm_up: int = 40,
    contrast: float = 1.0,
    seed: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The mean frame of white noise at some steps before a spike.

    Every trial sees Gaussian noise of its own, a new frame each step. Only the last `lags` frames
    and the sums are kept.

    Args:
        circuit: the network; spiking, as a rule.
        steps: that are counted, after the warm-up.
        lags: 0 is the frame of the spike's own step.
        trials: networks side by side.
        warm_up: steps before counting.
        contrast: standard deviation of the noise, in units of the training images'.
        seed: of noise and spikes.

    Returns:
        Averages [latents, lags, features] in units of `contrast`, and spikes of each neuron
        [latents]. A neuron without a spike has zeros.

    Raises:
        ValueError: if a number is below 1.
    """
    for name, value in (("steps", steps), ("lags", lags), ("trials", trials)):
        if value < 1:
            raise ValueError(f"{name} is {value}, expected at least 1.")
    features = len(circuit.weights)
    total = torch.zeros(lags, circuit.latents, features)
    spikes = torch.zeros(circuit.latents, dtype=torch.float64)
    frames: deque[Tensor] = deque(maxlen=lags)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = circuit.init(trials)
        for step in range(max(warm_up, lags) + steps):
            frame = torch.randn(trials, features)
            frames.appendleft(frame)
            state = circuit.step(state, circuit.drive(contrast * frame))
            if step >= max(warm_up, lags):
                spikes += state.output.sum(0)
                for lag, earlier in enumerate(frames):
                    total[lag].addmm_(state.output.T, earlier)
    average = total / spikes.clamp_min(1e-30).float()[:, None]
    average[:, spikes == 0] = 0.0
    return average.transpose(0, 1).numpy(), spikes.numpy()
