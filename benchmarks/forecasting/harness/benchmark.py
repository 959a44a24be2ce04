"""One run: data read, model trained or found, windows scored, files written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import vneuron
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.data.windows import Windows

from .models import DETERMINISTIC, MODELS, TRAINED_AS, Ready
from .neuralforecast import THEIRS, theirs
from .protocols import Sizes, name_of, windows_to_score
from .quantile_protocol import score_quantiles
from .results import Results, RunKey, source_digest
from .scoring import means, score_windows
from .shown import shown_windows
from .workshop import Workshop


@dataclass(frozen=True)
class Request:
    """What is to be run.

    Attributes:
        input_size: look-back; None leaves it to validation windows.
        step: every so-manieth window of the protocol.
        max_steps: most optimiser steps of an epoch.
        settings: further options of the forecaster.
        nf_steps: training steps of a neuralforecast model; None for others.
        target: columns that are the series; empty for all numeric ones.
        first_seed: whether this is the first seed asked for.
    """

    path: Path
    protocol: str
    horizon: int
    model: str
    seed: int
    input_size: int | None
    sizes: Sizes
    step: int = 1
    max_steps: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    nf_steps: int | None = None
    target: tuple[str, ...] = ()
    first_seed: bool = True

    def key(self) -> RunKey:
        options: dict[str, Any] = {
            "input_size": self.input_size or "auto",
            **self.sizes,
            "step": self.step,
            "max_steps": self.max_steps,
            "set": dict(self.settings),
        }
        if self.nf_steps is not None:
            options["nf_steps"] = self.nf_steps
        if self.target:
            options["target"] = list(self.target)
        return RunKey(
            name_of(self.path), self.protocol, self.horizon, self.model, self.seed, options
        )

    @property
    def panel_name(self) -> str:
        """Of the data set and the series that are taken of it."""
        return "-".join((name_of(self.path), *self.target))

    def panel(self) -> Panel:
        """The series, gaps interpolated, the first of repeated stamps."""
        return read_table(
            self.path, target=self.target or None, missing="interpolate", duplicates="first"
        ).panel

    @property
    def repeats_a_seed(self) -> bool:
        """Whether the model does not depend on the seed, and has been asked for already."""
        return self.model in DETERMINISTIC and not self.first_seed

    def config(self) -> ForecasterConfig:
        options: dict[str, Any] = {"device": "cpu", **self.settings}
        if self.protocol == "B" and options.get("second") != "none":
            options.setdefault("second_size", self.input_size)  # the protocol's, for all readers
        return ForecasterConfig(self.horizon, self.input_size, seed=self.seed, **options)


class Benchmark:
    """Runs requests, and keeps what they share: data read once, networks trained once.

    Args:
        folder: of results and of what was trained.
        python: of an environment with neuralforecast; None where there is none.
    """

    def __init__(self, folder: Path, python: str | None = None) -> None:
        self.folder, self.python = folder, python
        self.results = Results(folder)
        self._panels: dict[tuple[Path, tuple[str, ...]], Panel] = {}
        self._last: tuple[Any, Workshop] | None = None

    @cached_property
    def sources(self) -> str:
        return source_digest()

    def workshop(self, request: Request) -> Workshop:
        """Of the request's data, options and seed; the last one is kept."""
        taken = (request.path, request.target)
        if taken not in self._panels:
            self._panels = {taken: request.panel()}
        panel = self._panels[taken]
        shop = Workshop(
            request.panel_name,
            panel,
            request.config(),
            request.sizes,
            request.max_steps,
            self.folder,
        )
        if self._last is None or self._last[0] != shop.place:
            self._last = (shop.place, shop)
        return self._last[1]

    def windows(self, request: Request) -> Windows:
        """What is scored.

        Raises:
            ValueError: there is none.
        """
        material = self.workshop(request).material
        windows = windows_to_score(
            material.flat,
            material.split.test,
            material.config.lookback,
            request.horizon,
            request.protocol,
            request.step,
        )
        if not len(windows):
            raise ValueError("no test window: give more test rows, or a smaller horizon")
        return windows

    def ready(self, request: Request, afresh: bool = False) -> Ready:
        """The model of a request, trained.

        Args:
            request: which.
            afresh: throw away what was trained of it before.
        """
        shop = self.workshop(request)
        if request.model in THEIRS:
            if self.python is None or request.nf_steps is None:
                raise ValueError("expected a Python that has neuralforecast: give --neuralforecast")
            windows = self.windows(request)
            return theirs(request.model, shop, windows, request.nf_steps, self.python, afresh)
        if afresh:
            for label in TRAINED_AS.get(request.model, ()):
                shop.forget(label)
        return MODELS[request.model](shop)

    def run(self, request: Request, afresh: bool = False) -> dict[str, Any]:
        """Train, score, write.

        Raises:
            ValueError: the data are too short, or the model cannot be had.
        """
        torch.manual_seed(request.seed)
        shop = self.workshop(request)
        model = self.ready(request, afresh)
        material, windows = shop.material, self.windows(request)
        frame, facts = score_windows(model.forecast, windows, joint=model.joint, seed=request.seed)
        row: dict[str, Any] = {
            "windows": len(windows),
            "series": len(material.panel),
            "input_size": material.config.input_size,
            "encoder": material.config.encoder,
            "location": material.location,
            "epochs_allowed": material.config.epochs,
            **means(frame),
            **dict.fromkeys(("probts_crps", "probts_nmae", "exact_crps", "exact_nmae")),
            **facts,
            "train_cpu_seconds": model.seconds,
            "choice_cpu_seconds": shop.choice_seconds,
            "vneuron": vneuron.__version__,
            "torch": torch.__version__,
            "sources": self.sources,
            **model.facts,
        }
        if request.protocol == "B":
            row |= score_quantiles(model.forecast, windows, material.scaling, request.seed)
        shown = None
        if model.joint and request.model not in THEIRS:  # theirs are known for these windows alone
            shown = shown_windows(model.forecast, windows, request.seed)
        self.results.write(request.key(), row, frame, shown)
        return row
