"""What codes are worth and how their neurons behave: scores, transfer, tuning, responses."""

from .circuit import Circuit
from .contrast import (
    contrast_response,
    half_rise,
    log_slope,
    mask_suppression,
    naka_rushton,
)
from .receptive_fields import spike_triggered_average
from .scores import CodeStatistics, linear_probe, r_squared, score_steps, treves_rolls
from .stimuli import grating
from .transfer import settled_after, transfer
from .tuning import fit_gratings

__all__ = [
    "Circuit",
    "CodeStatistics",
    "contrast_response",
    "fit_gratings",
    "grating",
    "half_rise",
    "linear_probe",
    "log_slope",
    "mask_suppression",
    "naka_rushton",
    "r_squared",
    "score_steps",
    "settled_after",
    "spike_triggered_average",
    "transfer",
    "treves_rolls",
]
