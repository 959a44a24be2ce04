"""Which of a forecaster's options go together, whatever each is by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import ForecasterConfig


def check_together(config: ForecasterConfig) -> None:
    """Refuse options that contradict each other.

    Args:
        config: whose options are each of them among the choices.

    Raises:
        ValueError: which do not go together, what was expected, and why.

    Example:
        >>> from vneuron.forecasting.config import ForecasterConfig
        >>> check_together(ForecasterConfig(horizon=6, start="ridge"))
    """
    if config.network == "reference" and (config.counts or config.units_family != "gaussian"):
        raise ValueError(
            f"network is 'reference' with likelihood {config.likelihood!r} and units_family "
            f"{config.units_family!r}, expected network='trajectory' for counts and for Poisson "
            "units: the reference mixes Gaussian draws."
        )
    if config.units_family == "poisson":
        _check_rates(config)
    if config.network == "reference" or config.counts:
        _check_without_trajectory(config)
    if config.second_size is not None and config.second == "none":
        raise ValueError(
            f"second_size is {config.second_size} with second 'none', expected None, or a second "
            "reader: it is how far back that one reads."
        )


def _check_rates(config: ForecasterConfig) -> None:
    """Units whose rate is their variance."""
    if config.prior in ("autoregressive", "macro"):
        raise ValueError(
            f"prior is {config.prior!r} with units_family 'poisson', expected 'learned': the "
            "prior of a rate is a rate of its own."
        )
    if config.control in ("projection", "homeostasis"):
        raise ValueError(
            f"control is {config.control!r} with units_family 'poisson', expected 'adaptive', "
            "'free' or 'none': a rate has no scale of its own to be moved."
        )


def _check_without_trajectory(config: ForecasterConfig) -> None:
    """What asks for a trajectory network that is no model of counts."""
    with_these = f"with network {config.network!r} and likelihood {config.likelihood!r}, expected"
    if config.start == "ridge":
        raise ValueError(
            f"start is 'ridge' {with_these} 'level' or 'auto': only the mean path of a trajectory "
            "network that is no model of counts is a regression on the window."
        )
    if config.second not in ("auto", "none"):
        raise ValueError(
            f"second is {config.second!r} {with_these} 'none' or 'auto': only laws of a trajectory "
            "network that is no model of counts are pooled."
        )
    if config.crps_weight:
        raise ValueError(
            f"crps_weight is {config.crps_weight} {with_these} 0: only single steps of a "
            "trajectory network that is no model of counts can learn by their CRPS."
        )
    if config.draws_in:
        raise ValueError(
            f"departure is {config.departure} {with_these} 1 or 'auto': only paths of a "
            "trajectory network that is no model of counts are drawn towards the level of their "
            "window."
        )
    if config.series == "coupled":
        raise ValueError(
            f"series is 'coupled' {with_these} network='trajectory' and likelihood 'student' or "
            "'gaussian': what series share are the sources of a multivariate t."
        )
