"""Fitted models on disk: a folder of JSON and safetensors, from which no code is run."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from ..training.checkpoint import load_weights, save_checkpoint
from ..training.run_folder import RunFolder
from .resumption import check_same

__all__ = ["StoredModel"]


class StoredModel(ABC):
    """An estimator that can be written to a folder and read back.

    Attributes:
        module_: the fitted model.
        shape_: of one image.
        scale_: what images are divided by.
        n_features_in_: number of pixels.
    """

    module_: nn.Module
    shape_: tuple[int, ...]
    scale_: float
    n_features_in_: int
    seed: int
    device: str

    # -- what the estimator writes -------------------------------------------------------------

    @abstractmethod
    def _build(self) -> nn.Module:
        """The model before training, for images of `self.shape_`."""

    @abstractmethod
    def _fitted(self) -> nn.Module:
        """The fitted model; raises where there is none yet."""

    @abstractmethod
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of `__init__`, plain values."""

    # -- the folder ----------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the fitted model to a folder: JSON and safetensors, no code.

        Args:
            path: a folder that is empty or does not exist.

        Raises:
            RunFolderError: if the folder holds something else.
        """
        self._fitted()
        with RunFolder.create(path) as run:
            run.write_json("config.json", self._config())
            self._write(run)

    @classmethod
    def load(cls, path: str | Path, device: str | None = None) -> Self:
        """Read what `save`, or `fit(run_dir=...)`, wrote.

        Args:
            path: the folder.
            device: where the model is to be, if not where it was fitted.

        Raises:
            RunFolderError: if the folder is missing, damaged or of another kind of model.
            ValueError: if the model is of another class, or there is no such device.
        """
        run = RunFolder.open(path)
        config = run.read_json("config.json")
        found = config.get("estimator")
        if found != cls.__name__:
            raise ValueError(
                f"{path}: holds a model of kind {found!r}, not {cls.__name__}: load it with "
                f"vneuron.imaging.{found}.load"
            )
        model = cls(**config["model"])
        if device is not None:
            model.device = device
        model.shape_ = tuple(config["data"]["shape"])
        model.n_features_in_ = int(np.prod(model.shape_))
        model.scale_ = float(config["data"]["scale"])
        model.module_ = model._build()
        load_weights(run, "model", model.module_)
        model.module_.to(model._device()).eval()
        return model

    def _config(self) -> dict[str, Any]:
        return {
            "vneuron": version("vneuron"),
            "estimator": type(self).__name__,
            "model": json.loads(json.dumps(self.get_params())),
            "data": {"shape": list(self.shape_), "scale": self.scale_},
            "seed": self.seed,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _open_run(
        self, path: Path, resume: bool, overwrite: bool, source: Mapping[str, Any] | None
    ) -> RunFolder:
        config = self._config() | ({} if source is None else {"source": dict(source)})
        if resume and path.is_dir() and any(path.iterdir()):
            run = RunFolder.open(path)
            check_same(run, config)
            return run
        run = RunFolder.create(path, overwrite=overwrite)
        run.write_json("config.json", config)
        return run

    def _write(self, run: RunFolder) -> None:
        save_checkpoint(run, "model", self._fitted())

    def _device(self) -> torch.device:
        known = ("auto", "cpu", "cuda")
        if self.device not in known:
            raise ValueError(f"device is {self.device!r}, expected one of {known}.")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device is 'cuda', and none is here; expected one: use 'cpu'.")
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)
