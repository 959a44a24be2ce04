"""What a forecaster is told, validated as a whole before any data is read."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import torch

from ..controls import Preset
from ..training.config import Device, Precision, TrainingConfig
from ..units.gaussian import ScaleKind
from .data.columns import EXOGENOUS
from .data.missing import MISSING
from .data.ordering import DUPLICATES
from .data.split import check_window
from .networks.network import Likelihood
from .networks.normalisation import Location
from .networks.reference.network import Combine

NetworkKind: TypeAlias = Literal["trajectory", "reference"]
PriorKind: TypeAlias = Literal["standard", "learned"]
LocationChoice: TypeAlias = Literal["auto"] | Location


class NetworkDefaults(NamedTuple):
    """What a network takes for options that are not given."""

    units: int
    dropout: float

    def where_none(self, units: int | None, dropout: float | None) -> NetworkDefaults:
        """These, but for what is given."""
        return NetworkDefaults(
            self.units if units is None else units, self.dropout if dropout is None else dropout
        )


def network_defaults(network: str) -> NetworkDefaults:
    """A network's own defaults; those of `trajectory` for a name that is none.

    Example:
        >>> network_defaults("reference")
        NetworkDefaults(units=1024, dropout=0.05)
    """
    if network == "reference":
        return NetworkDefaults(units=1024, dropout=0.05)
    return NetworkDefaults(units=32, dropout=0.3)


@dataclass(frozen=True)
class ForecasterConfig:
    """Everything that determines a fit, apart from the data; see `EVEForecaster` for each.

    Raises:
        ValueError: a value is out of range or unknown; the message names it and the choices.

    Example:
        >>> ForecasterConfig(horizon=24, input_size=96, control="tight")
        Traceback (most recent call last):
        ...
        ValueError: control is 'tight', expected one of ('none', 'free', ...).
    """

    horizon: int
    input_size: int
    units: int = 32
    latent_dim: int = 1
    network: NetworkKind = "trajectory"
    lag: int = 4
    train_draws: int = 4
    draws: int = 8
    combine: Combine = "mean"
    control: Preset = "adaptive"
    scale: ScaleKind = "input"
    prior: PriorKind = "learned"
    beta: float = 1.0
    likelihood: Likelihood = "student"
    location: LocationChoice = "auto"
    hidden: int = 256
    dropout: float = 0.3
    freq: str | int | None = None
    missing: str = "error"
    duplicates: str = "error"
    exogenous: str = "error"
    epochs: int = 8
    batch_size: int = 256
    learning_rate: float = 1e-3
    patience: int = 3
    device: Device = "auto"
    devices: int = 1
    precision: Precision = "32-true"
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_window(self.input_size, self.horizon)
        for name in ("units", "latent_dim", "hidden", "lag", "train_draws", "draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1.")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}, expected a share from 0 to below 1.")
        if not (math.isfinite(self.beta) and self.beta >= 0.0):
            raise ValueError(f"beta is {self.beta}, expected a finite number, at least 0.")
        choices: dict[str, tuple[Any, ...]] = {
            "network": get_args(NetworkKind),
            "combine": get_args(Combine),
            "control": get_args(Preset),
            "scale": get_args(ScaleKind),
            "prior": get_args(PriorKind),
            "likelihood": get_args(Likelihood),
            "location": ("auto", *get_args(Location)),
            "missing": MISSING,
            "duplicates": DUPLICATES,
            "exogenous": EXOGENOUS,
        }
        for name, kinds in choices.items():
            if getattr(self, name) not in kinds:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected one of {kinds}.")
        self.training(quiet=True)

    @property
    def lookback(self) -> int:
        """Rows of context that a window needs: the reference network reads an earlier one too."""
        return self.input_size + (self.lag if self.network == "reference" else 0)

    def training(self, *, quiet: bool) -> TrainingConfig:
        """How the network is trained."""
        return TrainingConfig(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            # the loss is in nats per window: one nat per step at most moves the weights at once
            gradient_clip=float(self.horizon),
            patience=self.patience,
            seed=self.seed,
            device=self.device,
            devices=self.devices,
            precision=self.precision,
            compile=self.compile,
            quiet=quiet,
        )

    def torch_device(self) -> torch.device:
        """Where forecasts are made."""
        name = self.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(name)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
