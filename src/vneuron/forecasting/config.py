"""What a forecaster is told, validated as a whole before any data is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import torch

from ..controls import Preset, attach_preset, check_settings
from ..core import ScaleForm
from ..functional.pooling import Activity
from ..priors.autoregressive import TransitionForm
from ..training.config import Device, Precision, TrainingConfig
from ..training.numbers import real_number, whole_number
from ..units.gaussian import GaussianUnits, ScaleKind
from .data.columns import EXOGENOUS
from .data.missing import MISSING
from .data.ordering import DUPLICATES
from .data.split import check_window
from .networks.count_network import CountLikelihood
from .networks.features import Encoder
from .networks.network import Likelihood
from .networks.normalisation import Location
from .networks.path_noise import NoiseKind
from .networks.place_features import FeatureKind
from .networks.reference.network import Combine
from .option_rules import check_together
from .start import StartKind
from .training_budget import EPOCHS, LARGEST_BATCH, suited_patience

NetworkKind: TypeAlias = Literal["trajectory", "reference"]
PriorKind: TypeAlias = Literal["standard", "learned", "autoregressive", "macro"]
LocationChoice: TypeAlias = Literal["auto"] | Location
LikelihoodChoice: TypeAlias = Likelihood | CountLikelihood
EncoderChoice: TypeAlias = Literal["auto"] | Encoder
FeatureChoice: TypeAlias = Literal["auto"] | FeatureKind
StartChoice: TypeAlias = Literal["auto"] | StartKind
SecondKind: TypeAlias = Literal["none"] | FeatureKind
DepartureChoice: TypeAlias = Literal["auto"] | float
SecondChoice: TypeAlias = Literal["auto"] | SecondKind
UnitsFamily: TypeAlias = Literal["gaussian", "poisson"]
SeriesKind: TypeAlias = Literal["independent", "coupled"]
UnitFeatures: TypeAlias = Literal["shared", "own"]


WHOLE = (
    *("horizon", "input_size", "second_size", "units", "latent_dim", "hidden", "lag"),
    "batch_size",
    *("train_draws", "draws", "macro_dim"),
)
LEFT_TO_THE_DATA = ("input_size", "second_size", "lag", "batch_size", "epochs", "patience")

REFERENCE_LAG = 4
"""Steps between the reference's two windows, as in its companion code."""


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
    input_size: int | None = None
    units: int = 32
    latent_dim: int = 1
    network: NetworkKind = "trajectory"
    activity: Activity = "mean"
    lag: int | None = None
    train_draws: int = 4
    draws: int = 8
    combine: Combine = "mean"
    control: Preset = "adaptive"
    control_options: Mapping[str, float] | None = None
    scale_form: ScaleForm = "raw"
    scale: ScaleKind = "input"
    prior: PriorKind = "learned"
    ar_form: TransitionForm | None = None
    macro_dim: int = 4
    beta: float = 0.1
    crps_weight: float = 0.0
    likelihood: LikelihoodChoice = "student"
    units_family: UnitsFamily = "gaussian"
    location: LocationChoice = "auto"
    encoder: EncoderChoice = "auto"
    features: FeatureChoice = "auto"
    start: StartChoice = "auto"
    second: SecondChoice = "auto"
    second_size: int | None = None
    departure: DepartureChoice = "auto"
    noise: NoiseKind = "steered"
    unit_features: UnitFeatures = "own"
    series: SeriesKind = "independent"
    hidden: int = 256
    dropout: float = 0.3
    freq: str | int | None = None
    missing: str = "error"
    duplicates: str = "error"
    exogenous: str = "error"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float = 1e-3
    patience: int | None = None
    device: Device = "auto"
    devices: int = 1
    precision: Precision = "32-true"
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_window(1 if self.input_size is None else self.input_size, self.horizon)
        for name in WHOLE:
            if getattr(self, name) is not None or name not in LEFT_TO_THE_DATA:
                object.__setattr__(self, name, whole_number(name, getattr(self, name), 1))
        for name in ("dropout", "beta", "crps_weight"):
            real_number(name, getattr(self, name))
        if self.departure != "auto":
            real_number("departure", self.departure)
            if not 0.0 <= self.departure <= 1.0:
                raise ValueError(f"departure is {self.departure}, expected 'auto' or from 0 to 1.")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}, expected a share from 0 to below 1.")
        for name in ("beta", "crps_weight"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"{name} is {value}, expected a finite number, at least 0.")
        choices: dict[str, tuple[Any, ...]] = {
            "network": get_args(NetworkKind),
            "combine": get_args(Combine),
            "activity": get_args(Activity),
            "control": get_args(Preset),
            "scale_form": get_args(ScaleForm),
            "scale": get_args(ScaleKind),
            "prior": get_args(PriorKind),
            "ar_form": (None, *get_args(TransitionForm)),
            "likelihood": (*get_args(Likelihood), *get_args(CountLikelihood)),
            "units_family": get_args(UnitsFamily),
            "location": ("auto", *get_args(Location)),
            "encoder": ("auto", *get_args(Encoder)),
            "features": ("auto", *get_args(FeatureKind)),
            "start": ("auto", *get_args(StartKind)),
            "second": ("auto", "none", *get_args(FeatureKind)),
            "noise": get_args(NoiseKind),
            "unit_features": get_args(UnitFeatures),
            "series": get_args(SeriesKind),
            "missing": MISSING,
            "duplicates": DUPLICATES,
            "exogenous": EXOGENOUS,
        }
        for name, kinds in choices.items():
            if getattr(self, name) not in kinds:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected one of {kinds}.")
        check_settings(self.control, self.control_options)
        if self.control_options:  # the controls say what they refuse before any data is read
            with torch.random.fork_rng([]):
                unit = GaussianUnits(1, 1)
            attach_preset(unit, self.control, steps=self.horizon, settings=self.control_options)
        check_together(self)
        training = self.training(quiet=True)
        for name in ("epochs", "patience", "devices", "seed"):
            if getattr(self, name) is not None or name not in LEFT_TO_THE_DATA:
                object.__setattr__(self, name, getattr(training, name))

    @property
    def draws_in(self) -> bool:
        """Whether paths may be drawn towards the level of their window, once that is decided."""
        return self.departure != "auto" and self.departure < 1.0

    @property
    def counts(self) -> bool:
        """Whether series are counts, which are not scaled, and forecasts are laws of counts."""
        return self.likelihood in get_args(CountLikelihood)

    @property
    def earlier_windows(self) -> int:
        """How many lags further back than L it reads: the reference's pair, a prior's memory."""
        return (self.network == "reference") + (self.prior == "autoregressive")

    @property
    def known_lag(self) -> int | None:
        """The lag; None where it is the season of data that have not been read yet."""
        if self.lag is None and self.network == "reference":
            return REFERENCE_LAG
        return self.lag

    @property
    def context_size(self) -> int:
        """L, once it is known.

        Raises:
            ValueError: it is left to the data, which have not been read yet.
        """
        if self.input_size is None:
            raise ValueError(
                "input_size is None, which leaves it to validation windows: give it in steps, or "
                "take the configuration that `prepare` returns with the data (material.config)."
            )
        return self.input_size

    @property
    def second_context(self) -> int:
        """The rows that a second reader reads: `second_size`, else L.

        Raises:
            ValueError: L is left to the data.
        """
        return self.context_size if self.second_size is None else self.second_size

    def with_choices(self, chosen: Mapping[str, Any]) -> ForecasterConfig:
        """The same with what these options leave to the data taken from an earlier choice."""
        left = {
            "input_size": self.input_size is None,
            "encoder": self.encoder == "auto",
            "features": self.features == "auto",
            "start": self.start == "auto",
            "second": self.second == "auto",
            "second_size": self.second_size is None,
            "departure": self.departure == "auto",
            "batch_size": self.batch_size is None,
            "epochs": self.epochs is None,
            "patience": self.patience is None,
        }
        return replace(self, **{name: chosen[name] for name, is_left in left.items() if is_left})

    @property
    def lookback(self) -> int:
        """Rows of context that a window needs.

        Raises:
            ValueError: that depends on the data's season.
        """
        if self.second in ("auto", "none"):
            return self.first_lookback
        return max(self.first_lookback, self.second_context)

    @property
    def first_lookback(self) -> int:
        """Those of them that the first reader reads, and novelty is judged by.

        Raises:
            ValueError: that depends on the data's season.
        """
        if not self.earlier_windows:
            return self.context_size
        if self.known_lag is None:
            raise ValueError(
                "lag is None, which stands for the season of the data: give it in steps, or take "
                "the configuration that `prepare` returns with the data (material.config)."
            )
        return self.context_size + self.earlier_windows * self.known_lag

    @property
    def transition_form(self) -> TransitionForm:
        """Of an autoregressive prior: the papers' penalty under their homeostasis, else the KL."""
        if self.ar_form is not None:
            return self.ar_form
        return "quadratic" if self.control == "homeostasis" else "kl"

    def training(self, *, quiet: bool) -> TrainingConfig:
        """How the network is trained."""
        epochs = EPOCHS if self.epochs is None else whole_number("epochs", self.epochs, 1)
        return TrainingConfig(
            epochs=epochs,
            batch_size=LARGEST_BATCH if self.batch_size is None else self.batch_size,
            learning_rate=self.learning_rate,
            # the loss is in nats per window: one nat per step at most moves the weights at once
            gradient_clip=float(self.horizon),
            patience=suited_patience(epochs) if self.patience is None else self.patience,
            seed=self.seed,
            device=self.device,
            devices=self.devices,
            precision=self.precision,
            compile=self.compile,
            quiet=quiet,
        )

    def torch_device(self) -> torch.device:
        """Where forecasts are made.

        Raises:
            ValueError: on a GPU, and there is none.
        """
        name = self.device
        if name == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                "device is 'cuda', and no CUDA device is here: give device='cpu' or 'auto'"
            )
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(name)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
