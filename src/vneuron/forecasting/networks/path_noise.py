"""The steps' own noise, beside the units' columns: white, lasting, or steered by the units."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ...functional.own_noise import OwnNoise

NoiseKind = Literal["white", "lasting", "steered"]

MOST_PERSISTENCE = 0.98
"""|ρ| stays below it, so that the noise never becomes one number for all steps."""

MOST_LOG_WEIGHT = math.log(10.0)
"""|ln δ| stays below it: the noise's share of a step is bounded whatever a window looks like."""


class PathNoise(nn.Module):
    r"""Persistence ρ of the own noise, and its weight δ at each step, from the units' spread.

    .. math:: u = \ln(\kappa s(x)), \qquad \rho(x) = .98 \tanh(a + b^\top u), \qquad
              \ln\delta(x) = c \tanh(V u / c), \quad c = \ln 10

    Both are margin-free: C keeps its unit diagonal. "lasting" has ρ alone, the same for every
    window; with "steered" all that a window changes passes through the units' spread, and is paid
    for as their information. Their means would serve as well (Weather, validation joint NLL −2.369
    against −2.371), but these move the mean path too, which dependence must not reach. κ is one,
    and makes good what a control that rescales units does to s.

    Args:
        horizon: H.
        columns: M, the units' dimensions; counts where it is steered.
        kind: "lasting" or "steered".

    Raises:
        ValueError: another kind.

    Example:
        >>> noise = PathNoise(6, 4, "steered")
        >>> own = noise(torch.ones(3, 4))
        >>> own.persistence.shape, own.weight.shape
        (torch.Size([3]), torch.Size([3, 6]))
    """

    def __init__(self, horizon: int, columns: int, kind: NoiseKind) -> None:
        super().__init__()
        if kind not in ("lasting", "steered"):
            raise ValueError(
                f"own noise is {kind!r}, expected one of {get_args(NoiseKind)[1:]}: white noise "
                "needs no parameters."
            )
        self.raw_persistence = nn.Parameter(torch.zeros(()))
        self.persistence_reader: nn.Parameter | None = None
        self.weight_reader: nn.Parameter | None = None
        self.gain: nn.Parameter | None = None
        if kind == "steered":
            self.persistence_reader = nn.Parameter(torch.zeros(columns))
            self.weight_reader = nn.Parameter(torch.zeros(horizon, columns))
            self.gain = nn.Parameter(torch.ones(1, columns), requires_grad=False)

    def forward(self, scale: Tensor) -> OwnNoise:
        """ρ and δ of each window.

        Args:
            scale: s, [batch, M], or [M] where it is the same for all, as ρ and δ [H] then are.
        """
        if self.persistence_reader is None or self.weight_reader is None or self.gain is None:
            return OwnNoise(MOST_PERSISTENCE * self.raw_persistence.tanh())
        spread = (scale * self.gain[0]).log()
        raw = self.raw_persistence + spread @ self.persistence_reader
        log_weight = spread @ self.weight_reader.T / MOST_LOG_WEIGHT
        return OwnNoise(MOST_PERSISTENCE * raw.tanh(), (MOST_LOG_WEIGHT * log_weight.tanh()).exp())
