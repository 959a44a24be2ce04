"""How good a forecast was: proper scores, calibration, and their running means."""
