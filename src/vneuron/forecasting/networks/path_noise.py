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
    r"""Persistence ρ of the own noise, and its weight δ at each step, from the units' means.

    .. math:: \rho(x) = .98 \tanh(a + b^\top\mu(x)), \qquad
              \ln\delta(x) = c \tanh(V\mu(x) / c), \quad c = \ln 10

    Both are margin-free: C keeps its unit diagonal. "lasting" has ρ alone, the same for every
    window; with "steered" all that a window changes passes through the units, and is paid for as
    their information.

    Args:
        horizon: H.
        columns: M, the units' dimensions; counts where it is steered.
        kind: "lasting" or "steered".

    Raises:
        ValueError: another kind.

    Example:
        >>> noise = PathNoise(6, 4, "steered")
        >>> own = noise(torch.zeros(3, 4))
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
        if kind == "steered":
            self.persistence_reader = nn.Parameter(torch.zeros(1, columns))
            self.weight_reader = nn.Parameter(torch.zeros(horizon, columns))

    def forward(self, loc: Tensor | None) -> OwnNoise:
        """ρ and δ of each window.

        Args:
            loc: µ, [batch, M]; None where the noise is the same for all.
        """
        if self.persistence_reader is None or self.weight_reader is None or loc is None:
            return OwnNoise(MOST_PERSISTENCE * self.raw_persistence.tanh())
        raw = self.raw_persistence + loc @ self.persistence_reader[0]
        log_weight = loc @ self.weight_reader.T / MOST_LOG_WEIGHT
        return OwnNoise(MOST_PERSISTENCE * raw.tanh(), (MOST_LOG_WEIGHT * log_weight.tanh()).exp())
