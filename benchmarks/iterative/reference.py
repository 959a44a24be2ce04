"""Load the layers of a checkout of hadivafaii/IterativeVAE without what it imports for plots.

Its inference needs torch, numpy and SciPy; its import chain also asks for plotting, video and
logging libraries. Whatever of these is not installed is replaced by an inert stand-in while it is
imported. Nothing of it is copied here.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar


class Inert(types.ModuleType):
    """A module any attribute of which is an inert callable class."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *a, **k: None})


class InertFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds, last of all, an inert module where one of `roots` is imported and not installed."""

    def __init__(self, roots: set[str]) -> None:
        self.roots = roots
        self.used: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        root = name.partition(".")[0]
        if root not in self.roots or (path is not None and root not in self.used):
            return None
        self.used.append(root)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Inert:
        return Inert(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def imported_roots(checkout: Path) -> set[str]:
    """The first part of everything that the checkout's files import, but for its own rooms."""
    roots: set[str] = set()
    for file in checkout.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                roots.add(node.module.partition(".")[0])
    return roots - {path.name for path in checkout.iterdir()}


def load(checkout: Path) -> types.SimpleNamespace:
    """Its classes: IPVAE, IGVAE, ConfigPoisVAE, ConfigGausVAE, default_configs."""
    finder = InertFinder(imported_roots(checkout))
    sys.path.insert(0, str(checkout))
    sys.meta_path.append(finder)
    try:
        model = importlib.import_module("main.model")
        config = importlib.import_module("main.config")
    finally:
        sys.meta_path.remove(finder)
        sys.path.remove(str(checkout))
    print(f"reference: {checkout} (stand-ins for {sorted(set(finder.used)) or 'nothing'})")
    return types.SimpleNamespace(
        IPVAE=model.IPVAE,
        IGVAE=model.IGVAE,
        ConfigPoisVAE=config.ConfigPoisVAE,
        ConfigGausVAE=config.ConfigGausVAE,
        default_configs=config.default_configs,
    )


def build(
    reference: types.SimpleNamespace,
    kind: str,
    *,
    latents: int = 512,
    steps: int = 16,
    beta: float = 24.0,
    act: str | None = None,
) -> Any:
    """A model of theirs on 16 x 16 patches with its own default settings."""
    settings, _ = reference.default_configs(kind, "vH16-wht", "grad|lin")
    for name in ("enc_type",):
        settings.pop(name, None)
    settings |= {"n_latents": latents, "t_train": steps, "beta_outer": beta, "save": False}
    settings |= {"base_dir": tempfile.gettempdir(), "data_dir": tempfile.gettempdir()}
    if kind == "poisson":
        return reference.IPVAE(reference.ConfigPoisVAE(**settings))
    return reference.IGVAE(reference.ConfigGausVAE(**settings, latent_act=act))
