"""`EVEForecaster`: its options, fitting, cross-validation, and loading."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..training.outcome import TrainingOutcome
from ..training.run_folder import RunFolder
from ..training.session import OnEpoch
from . import store
from .answers import AbstractForecaster
from .backtest import cross_validate
from .config import (
    DepartureChoice,
    EncoderChoice,
    FeatureChoice,
    ForecasterConfig,
    LikelihoodChoice,
    LocationChoice,
    NetworkKind,
    PriorKind,
    SecondChoice,
    SeriesKind,
    StartChoice,
    UnitFeatures,
    UnitsFamily,
)
from .data.errors import NotFittedError
from .data.split import Size
from .fitting import known_choices, open_run, train
from .intervals import DEFAULT_LEVELS, Levels
from .material import prepare
from .model import FittedModel
from .network_defaults import network_defaults
from .networks.path_noise import NoiseKind
from .networks.reference.network import Combine
from .reading import read_frame

if TYPE_CHECKING:
    from ..controls import Preset
    from ..core import ScaleForm
    from ..functional.pooling import Activity
    from ..priors.autoregressive import TransitionForm
    from ..training.config import Device, Precision
    from ..units.gaussian import ScaleKind


class EVEForecaster(AbstractForecaster):
    """Probabilistic forecasts of whole trajectories, with a live account of the model's health.

    One model serves all series. Each step's forecast is a Student t whose centre and spread
    depend on the window; units, each a distribution over its own latent, tie the steps together,
    so that intervals hold for sums and means over steps as well as for single ones.

    Args:
        horizon: steps to forecast, H.
        input_size: steps of context, L; None takes the one of 1 to 7.5 horizons whose trial does
            best on validation windows.
        units: number of units; None is 32, in the reference network 1024.
        latent_dim: k, latent dimensions of a unit.
        network: "trajectory", or "reference", the papers': the sampled z is the only path.
        activity: of the reference: how its head reads a unit's k latents, "mean", "sum",
            "scaled_sum" or "raw"; the trajectory network reads each of them.
        lag: steps to the earlier window that the reference reads too, and that an autoregressive
            prior remembers; as many rows more of context for each. None is 4 in the reference,
            else the season of the training data.
        train_draws: of the reference: draws of z per window in training.
        draws: of the reference: draws in forecasts, which are mixtures over them.
        combine: of the reference: put the draws' "mean" or "median" forward, or weigh by "score".
        control: what governs units in training: "adaptive" prices each unit's information by what
            it buys on validation windows; "none" keeps β as it is; "free", "projection" and
            "homeostasis" are the papers' (see `vneuron.attach_preset`).
        control_options: settings of these controls other than their own, by name, such as
            {"target": 0.03} (`vneuron.attach_preset` lists them).
        scale_form: of controls that rescale units: "raw", "mean" or "gauge" (`vneuron.rescale`).
        scale: units' standard deviation: "input" (depends on the window), "per_unit", "scalar".
        prior: "learned" (of each unit: KL is then what it takes from the window), "standard",
            "autoregressive" (each unit remembers its state `lag` steps before: KL is what has
            changed), or "macro" (a latent that all units of a window share is paid for once).
        ar_form: of the autoregressive prior: "kl", or "quadratic", the papers' penalty; None is
            the penalty under control="homeostasis", whose share is then balanced, else the KL.
        macro_dim: of the macro prior: size of the shared latent.
        beta: price of a nat of each unit's KL, against likelihood in nats per window; where a
            control moves it, the price that training starts from.
        crps_weight: what the CRPS of single steps counts for in training beside their likelihood,
            in nats per training deviation. A likelihood weighs all windows alike; the CRPS weighs
            an error by its size, as squared error does. On Weather, whose spreads differ much, 10
            takes 5.5% off the squared error and 1.7% off the CRPS and costs .075 nats per step of
            joint NLL; where they do not, it changes little.
        likelihood: "student" (heavy tails, ν learned) or "gaussian"; for counts "negbinomial"
            (dispersion by step) or "poisson". Counts are whole numbers, are not scaled, and so all
            scores are in counts; steps are tied by a Gaussian copula of the units.
        units_family: "gaussian", or "poisson": units whose rate is their variance, so that what
            ties steps together is paid for in spikes. The path takes their first two moments.
        location: what a window is centred on: "mean", "last", "auto" by training data, or "none".
        encoder: what reads the window for mean path and spread: "linear", "mlp" (adds what is
            not linear), "multiscale" (as "mlp", but of means over ever more rows further back),
            "patch" (of short stretches), or "auto", the one of the first three whose trial does
            best on validation windows.
        features: what it is told of a window: "window" its shape, "series" also which series it
            is of, "place" its calendar, level and scale, "full" all of these, or "auto", by
            trials. A series that the fit did not see is forecast as an unknown one.
        start: what the linear mean path is before training: the window's "level", or the "ridge"
            regression on training windows, which finds almost exact rules at once; or "auto", by
            a trial (the level where encoder and features are named, and so no trial is held).
        second: a second reader of the window, by what it is told: "window" (linear, or "mlp"
            beside a linear one that is told no more), "series", "place" or "full" ("mlp"), all
            "multiscale" where it looks further back than the first; or "none". Each learns by
            itself, and a step's law is pooled from both, with more weight on the surer one and a
            share that validation chooses. "auto" takes one of another kind than the first, or of
            its last rows alone where levels drift, and none where encoder and features are named.
        second_size: rows of context that the second reader reads, under second="auto" the most
            of them. None is four times `input_size`, at most a 24th of the training rows of the
            shortest series, and no more than `input_size` where that is not half as far again.
        departure: the least of a path's way from the level of its window that forecasts may keep,
            from 0 (a random walk's centre) to 1 (all); how much they do, validation windows say,
            which may lose .03 nats per step by it. "auto" goes by a trial where windows are centred
            on their last value, and is 1 elsewhere, and where encoder and features are named.
        noise: what ties steps together beside the units: nothing ("white"), noise that lasts
            ("lasting", first-order autoregressive), or noise whose persistence and weight the
            units steer, window by window ("steered").
        unit_features: what the units' spread reads of a window: the "shared" features of the steps'
            laws, or features of its "own" beside them, which learn from whole paths. Counts,
            Poisson units and spreads that no window changes have the shared ones alone.
        series: "independent", or "coupled": series share what their units and noise bring at the
            same origin, so that intervals hold for totals over series too (`aggregate(across=...)`,
            `sample`). Learned after the network; forecasts of single series are the same bits.
        hidden: width of the features.
        dropout: share of features dropped in training; None is .3, in the reference .05.
        freq: pandas offset alias or integer step; None guesses it from the data.
        missing: "error", "interpolate", or "mask" (missing values are left out of the likelihood).
        duplicates: repeated time stamps: "error", "first", "last", "mean".
        exogenous: further columns: "error" or "ignore"; this network uses none.
        epochs: at most so many passes over the training windows; None is 8, or where windows are
            few as many as make 1,000 steps.
        batch_size: windows per step; None is 32 to 256, by how many there are.
        learning_rate: of AdamW, with a cosine to zero.
        patience: epochs without a better validation score before training stops; 0: never. None
            is 3, or of more than 8 epochs three eighths.
        device: "auto", "cpu", "cuda".
        devices: processes for training.
        precision: "32-true" or "bf16-mixed".
        compile: train through torch.compile.
        seed: of weights, batches and draws; the same seed gives the same bits.
        quiet: no progress on standard error.

    Raises:
        ValueError: an option is out of range or unknown.

    Example:
        >>> import numpy as np, pandas as pd
        >>> hours = pd.date_range("2026-01-01", periods=240, freq="h")
        >>> y = np.sin(np.arange(240) * 2 * np.pi / 24)
        >>> df = pd.DataFrame({"unique_id": "a", "ds": hours, "y": y})
        >>> f = EVEForecaster(horizon=6, input_size=24, units=4, hidden=16, epochs=1, quiet=True)
        >>> f.fit(df).predict(level=[80]).columns.tolist()
        ['unique_id', 'ds', 'EVE', 'EVE-median', 'EVE-lo-80', 'EVE-hi-80']
    """

    def __init__(
        self,
        horizon: int,
        input_size: int | None = None,
        units: int | None = None,
        latent_dim: int = 1,
        *,
        network: NetworkKind = "trajectory",
        activity: Activity = "mean",
        lag: int | None = None,
        train_draws: int = 4,
        draws: int = 8,
        combine: Combine = "mean",
        control: Preset = "adaptive",
        control_options: Mapping[str, float] | None = None,
        scale_form: ScaleForm = "raw",
        scale: ScaleKind = "input",
        prior: PriorKind = "learned",
        ar_form: TransitionForm | None = None,
        macro_dim: int = 4,
        beta: float = 0.1,
        crps_weight: float = 0.0,
        likelihood: LikelihoodChoice = "student",
        units_family: UnitsFamily = "gaussian",
        location: LocationChoice = "auto",
        encoder: EncoderChoice = "auto",
        features: FeatureChoice = "auto",
        start: StartChoice = "auto",
        second: SecondChoice = "auto",
        second_size: int | None = None,
        departure: DepartureChoice = "auto",
        noise: NoiseKind = "steered",
        unit_features: UnitFeatures = "own",
        series: SeriesKind = "independent",
        hidden: int = 256,
        dropout: float | None = None,
        freq: str | int | None = None,
        missing: str = "error",
        duplicates: str = "error",
        exogenous: str = "error",
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        patience: int | None = None,
        device: Device = "auto",
        devices: int = 1,
        precision: Precision = "32-true",
        compile: bool = False,
        seed: int = 0,
        quiet: bool = False,
    ) -> None:
        units, dropout = network_defaults(network).where_none(units, dropout)
        given = locals()  # every argument but `quiet` is a field of the same name
        fields = ForecasterConfig.__dataclass_fields__
        self.config = ForecasterConfig(**{name: given[name] for name in fields})
        self.quiet = quiet
        self.outcome: TrainingOutcome | None = None
        self._model: FittedModel | None = None

    # -- fitting -----------------------------------------------------------------------------

    def fit(
        self,
        df: object,
        val_size: Size = None,
        test_size: Size = 0,
        *,
        train_size: Size = None,
        run_dir: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        on_epoch: OnEpoch | None = None,
    ) -> Self:
        """Train on all series of a frame.

        Args:
            df: long frame, pandas or polars: unique_id, ds, y; or the path of a CSV or Parquet
                file. A long Parquet file of many rows is read in pieces, into temporary files.
            val_size: rows of each series, after the training rows, by which the best epoch is
                chosen (a float is a share); None is 10%.
            test_size: rows after those that the fit must not see; forecasts still start from the
                last row of the frame.
            train_size: rows to train on; None takes what the others leave.
            run_dir: folder for configuration, events, vitals and checkpoints; None keeps none.
            resume: go on with the run in `run_dir`, bit for bit as if it had not stopped.
            overwrite: replace an earlier run in `run_dir`.
            on_epoch: called with each epoch's record.

        Returns:
            The forecaster. `outcome` says how training ended.

        Raises:
            DataError: the data cannot be used; one line that says where and what to do.
            RunFolderError: `run_dir` holds something else.
            ValueError: `resume` without a folder, or with `overwrite`.
        """
        if resume and overwrite:
            raise ValueError("resume goes on with the run that overwrite replaces: give one.")
        if resume and run_dir is None:
            raise ValueError("resume goes on with the run in run_dir: name the folder.")
        sizes = {"train_size": train_size, "val_size": val_size, "test_size": test_size}
        chosen = known_choices(run_dir, resume=resume)
        material = prepare(read_frame(df, self.config), self.config, **sizes, chosen=chosen)
        with open_run(run_dir, material, sizes, resume=resume, overwrite=overwrite) as run:
            self._model, self.outcome = train(
                "EVE", material, run=run, resume=resume, quiet=self.quiet, on_epoch=on_epoch
            )
        return self

    @property
    def model(self) -> FittedModel:
        """The fitted model.

        Raises:
            NotFittedError: there is none.
        """
        if self._model is None:
            raise NotFittedError("the forecaster is not fitted: call fit(df), or load a model")
        return self._model

    def cross_validation(
        self,
        df: object,
        n_windows: int = 4,
        step_size: int | None = None,
        *,
        val_size: Size = None,
        refit: bool = False,
        level: Levels = DEFAULT_LEVELS,
    ) -> Any:
        """Forecast past windows at the end of each series, fitted on what came before them.

        This forecaster itself stays as it is.

        Args:
            df: long frame.
            n_windows: forecasts per series.
            step_size: rows between their origins; None is the horizon.
            val_size: as in `fit`.
            refit: fit again before each origin; else once, before the first.
            level: central intervals, in per cent.

        Returns:
            Frame: unique_id, ds, cutoff, y, EVE, EVE-median, EVE-lo-80, ...
        """
        step = self.config.horizon if step_size is None else step_size
        return cross_validate(
            read_frame(df, self.config),
            self.config,
            n_windows=n_windows,
            step_size=step,
            val_size=val_size,
            refit=refit,
            levels=level,
            quiet=self.quiet,
        )

    def following(self, df: object) -> Self:
        """This forecaster with forecasts that follow what recent ones have missed by.

        Forecasts are made anew from rows after the fit and compared with what came. The spread of
        all forecasts is scaled by a factor that follows these errors, of all series together and of
        each beside (`FollowedSpread`); and where errors have kept to one side for so long that
        moved forecasts would have been better, forecasts are moved (`FollowedLevel`). Nothing is
        trained. Call it again when new rows have come.

        Args:
            df: long frame with the rows since the fit, and `input_size` rows before them.

        Returns:
            A forecaster that follows in every answer, and goes on from the last row of `df`;
            `followed` says how far. Where no row has come since, as fitted.

        Raises:
            DataError: the frame cannot be used.
            ValueError: a forecaster of counts.
        """
        follower = self.from_config(self.config, quiet=self.quiet)
        follower._model = self.model.following(self._context(df))
        follower.outcome = self.outcome
        return follower

    @classmethod
    def load(cls, path: str | Path, *, device: Device | None = None, quiet: bool = False) -> Self:
        """A forecaster from a folder that `save` or a run wrote; no code of the folder is run.

        Args:
            path: the folder.
            device: "auto", "cpu" or "cuda"; None is what the fit was told.
            quiet: no progress in later fits.

        Raises:
            RunFolderError: it is no model, or damaged.
        """
        model = store.read_model(RunFolder.open(path), device=device)
        forecaster = cls.from_config(model.config, quiet=quiet)
        forecaster._model = model
        return forecaster

    @classmethod
    def from_config(cls, config: ForecasterConfig, *, quiet: bool = False) -> Self:
        """A forecaster that is not fitted, from its options as one object."""
        return cls(**config.as_dict(), quiet=quiet)

    def __repr__(self) -> str:
        state = "fitted" if self._model is not None else "not fitted"
        config = self.config
        return (
            f"EVEForecaster(horizon={config.horizon}, input_size={config.input_size}, "
            f"units={config.units}, latent_dim={config.latent_dim}; {state})"
        )
