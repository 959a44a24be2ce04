"""Whether a run may be gone on with: it must be of the same model and the same images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..training.run_folder import RunFolder

__all__ = ["check_same"]

# Where and how loudly a model is fitted does not change what it is; nor where its images lie.
_MAY_DIFFER = {"model": {"device", "quiet"}, "data": set(), "source": {"path", "command"}}


def check_same(run: RunFolder, config: Mapping[str, Any]) -> None:
    """Refuse to go on with a run of another model, other arguments or other images.

    Args:
        run: what is to be resumed.
        config: of the present fit.

    Raises:
        ValueError: it differs; the first difference is named.
    """
    saved = run.read_json("config.json")
    _refuse_unequal(run, "estimator", saved.get("estimator"), config["estimator"])
    for part, free in _MAY_DIFFER.items():
        before, now = saved.get(part) or {}, config.get(part) or {}
        for name in [*now, *(name for name in before if name not in now)]:
            if name not in free:
                _refuse_unequal(run, name, before.get(name), now.get(name))


def _refuse_unequal(run: RunFolder, name: str, before: object, now: object) -> None:
    if before != now:
        raise ValueError(
            f"{run.path}: was started with {name} = {before!r}, now {now!r}; expected the same: "
            "fit with the same arguments and images, or pass another folder"
        )
