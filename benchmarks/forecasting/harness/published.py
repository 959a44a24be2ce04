"""Published figures that the tables stand beside, with the protocol that each was made by.

A: mean squared error of DUET with a searched look-back (Qiu et al. 2025, arXiv:2412.10859, its
repository's table of full results; no drop-last) and of PatchTST/64 at L = 512 (Nie et al. 2023,
arXiv:2211.14730, table 3; ILI at look-backs of its own; drops the last incomplete batch).
B: the lowest CRPS per horizon among ProbTS' long-horizon benchmark (Zhang et al. 2024,
arXiv:2310.07446) and, at the longest horizon, K²VAE (Wu et al. 2025, arXiv:2505.23017).
"""

from __future__ import annotations

DUET_MSE: dict[str, dict[int, float]] = {
    "ETTh1": {96: 0.352, 192: 0.398, 336: 0.414, 720: 0.429},
    "ETTh2": {96: 0.270, 192: 0.332, 336: 0.353, 720: 0.382},
    "ETTm1": {96: 0.279, 192: 0.320, 336: 0.348, 720: 0.405},
    "ETTm2": {96: 0.161, 192: 0.214, 336: 0.267, 720: 0.348},
    "exchange_rate": {96: 0.080, 192: 0.162, 336: 0.294, 720: 0.583},
    "weather": {96: 0.146, 192: 0.188, 336: 0.234, 720: 0.305},
    "national_illness": {24: 1.577, 36: 1.596, 48: 1.632, 60: 1.660},
}

PATCHTST_MSE: dict[str, dict[int, float]] = {
    "ETTh1": {96: 0.370, 192: 0.413, 336: 0.422, 720: 0.447},
    "ETTh2": {96: 0.274, 192: 0.341, 336: 0.329, 720: 0.379},
    "weather": {96: 0.149, 192: 0.194, 336: 0.245, 720: 0.314},
    "national_illness": {24: 1.319, 36: 1.430, 48: 1.553, 60: 1.470},
}

PROBTS_CRPS: dict[str, dict[int, float]] = {
    "ETTh1": {96: 0.321, 192: 0.359, 336: 0.384, 720: 0.314},
    "ETTh2": {96: 0.164, 192: 0.201, 336: 0.240, 720: 0.252},
    "ETTm1": {96: 0.236, 192: 0.291, 336: 0.322, 720: 0.294},
    "exchange_rate": {96: 0.023, 192: 0.034, 336: 0.048, 720: 0.069},
    "weather": {96: 0.068, 192: 0.068, 336: 0.083, 720: 0.084},
    "national_illness": {24: 0.094, 36: 0.102, 48: 0.103, 60: 0.128},
}
