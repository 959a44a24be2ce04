"""Controls, and the step that runs them."""

from .allocation import Allocation
from .band_calibration import BandCalibration
from .energy_band import EnergyBand
from .homeostasis import Homeostasis
from .kl_budget import KLBudget
from .presets import SETTINGS, Preset, attach_preset, check_settings
from .projection import Projection
from .prune import prune
from .rescale import rescale
from .scale_guard import ScaleGuard
from .share_balance import ShareBalance
from .step import begin_statistics, control_step, prepare_controls

__all__ = [
    "SETTINGS",
    "Allocation",
    "BandCalibration",
    "EnergyBand",
    "Homeostasis",
    "KLBudget",
    "Preset",
    "Projection",
    "ScaleGuard",
    "ShareBalance",
    "attach_preset",
    "begin_statistics",
    "check_settings",
    "control_step",
    "prepare_controls",
    "prune",
    "rescale",
]
