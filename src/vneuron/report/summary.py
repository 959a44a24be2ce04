"""The first screen and the plain sentences: what the numbers say, and no more."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from .scores import METRICS, Metric, display, loss

__all__ = ["added_by_units", "carried_by_latents", "headline", "title"]

_BY_KEY = {metric.key: metric for metric in METRICS}
_NOISE = 0.002  # nats per step: two seeds of one model differ by about as much


def title(model: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """The page's title: the data's name."""
    path = data.get("path")
    if path:
        return PurePosixPath(str(path).replace("\\", "/")).stem or str(path)
    series = data.get("series") or []
    return str(series[0]) if len(series) == 1 else f"Forecast, {model.get('horizon', '?')} steps"


def headline(scores: Mapping[str, Mapping[str, Any]], subject: str = "EVE") -> list[dict[str, str]]:
    """Cards: the subject's score, and the best other model's beside it.

    Args:
        scores: test scores by model.
        subject: the model that the page is about.
    """
    own = scores.get(subject) or {}
    cards = []
    for key, words in (
        ("crps", "CRPS"),
        ("joint_nll", "joint NLL, nats per step"),
        ("path_coverage_80", "paths' 80% coverage"),
    ):
        metric = _BY_KEY[key]
        value = own.get(key)
        rivals = {name: row for name, row in scores.items() if name != subject}
        defined = [name for name in rivals if loss(metric, rivals[name].get(key)) < float("inf")]
        best = min(defined, key=lambda n: loss(metric, rivals[n].get(key)), default=None)
        if best is None:
            note, tone = "no other model defines it", "plain"
        else:
            note, tone = _against(metric, value, best, rivals[best].get(key))
        cards.append({"label": words, "value": display(value), "note": note, "tone": tone})
    return cards


def _against(metric: Metric, value: Any, rival: str, other: Any) -> tuple[str, str]:
    text = f"best other: {rival} {display(other)}"
    if display(value) == "–":
        return text, "plain"
    difference = loss(metric, value) - loss(metric, other)
    if abs(difference) <= _level(metric, other):
        return f"{text}, level", "plain"
    return (f"{text}, better", "good") if difference < 0 else (f"{text}, worse", "bad")


def added_by_units(
    scores: Mapping[str, Mapping[str, Any]], horizon: int | None, subject: str = "EVE"
) -> str:
    """In plain words, what input-dependent units add beyond a static low-rank head.

    Args:
        scores: test scores by model; joint_nll in nats per step.
        horizon: steps per window, to say it per window too.
        subject: the model with units.

    Example:
        >>> added_by_units({"EVE": {"joint_nll": -0.05}, "lowrank": {"joint_nll": 0.0}}, 96)[:60]
        'Units that follow the input gain .050 nats per step (4.800 p'
    """
    own, static = scores.get(subject) or {}, scores.get("lowrank") or {}
    if own.get("joint_nll") is None or static.get("joint_nll") is None:
        return (
            "What the units add beyond a static low-rank head is not known here: the run holds no "
            "joint score of both."
        )
    gain = float(static["joint_nll"] - own["joint_nll"])
    window = f" ({display(abs(gain) * horizon)} per window)" if horizon else ""
    amount = f"{display(abs(gain))} nats per step{window}"
    if abs(gain) <= _NOISE:
        first = (
            "Units that follow the input add nothing measurable here beyond a static low-rank "
            f"head: the joint NLLs differ by {amount}, which is within what two seeds differ by."
        )
    elif gain > 0:
        first = (
            f"Units that follow the input gain {amount} of joint NLL beyond a static low-rank head."
        )
    else:
        first = (
            f"Here the static low-rank head is better by {amount} of joint NLL: units that follow "
            "the input cost more than they gave."
        )
    return " ".join([first, *_dependence(scores, static), *_paths(own, static)])


def carried_by_latents(metrics: Mapping[str, Any]) -> str | None:
    """In plain words, what part of the forecasts z carries; None where it was not measured.

    Args:
        metrics: `metrics.json`; the share on test windows, else that on validation windows.

    Example:
        >>> share = {"variance": 0.6, "likelihood": 0.25, "spread_nats": 2, "window_nats": 0.5}
        >>> carried_by_latents({"latent_share": share})[:54]
        'The units carry 60% of the predictive variance and 25%'
    """
    share, where = metrics.get("latent_share"), "test"
    if not share:
        share, where = (metrics.get("health") or {}).get("latent_share"), "validation"
    if not share:
        return None
    likelihood = share.get("likelihood")
    known = "an unknown part" if likelihood is None else f"{likelihood:.0%}"
    return (
        f"The units carry {share['variance']:.0%} of the predictive variance and {known} of the "
        f"likelihood on {where} windows: knowing how steps move together is worth "
        f"{display(share['spread_nats'])} nats per window, and what the units take from the window "
        f"{display(share['window_nats'])}."
    )


def _level(metric: Metric, other: float) -> float:
    """A difference that one run cannot tell from none."""
    if metric.target is not None:
        return 0.01
    return _NOISE if metric.key == "joint_nll" else 0.005 * abs(other)


def _dependence(scores: Mapping[str, Mapping[str, Any]], static: Mapping[str, Any]) -> list[str]:
    independent = (scores.get("linear") or {}).get("joint_nll")
    if independent is None:
        return []
    taken = float(independent - static["joint_nll"])
    if taken <= _NOISE:
        return ["Static dependence between steps is itself worth nothing on these data."]
    return [f"Static dependence between steps alone is worth {display(taken)} nats per step."]


def _paths(own: Mapping[str, Any], static: Mapping[str, Any]) -> list[str]:
    ours, theirs = own.get("path_coverage_80"), static.get("path_coverage_80")
    if ours is None or theirs is None:
        return []
    return [
        f"The 80% interval of the path's mean held in {ours:.0%} of the windows, the static "
        f"head's in {theirs:.0%}. One run: differences carry no error bars."
    ]
