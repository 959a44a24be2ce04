r"""Scores of whole trajectories: a forecast's dependence between steps, not only each margin.

A forecast with perfect margins and wrong dependence is faulted by the energy score, by the joint
NLL, and most sharply by intervals for the mean over the horizon, whose spread is all dependence.
"""

from __future__ import annotations

import numpy as np
import torch

from .scores import Array, Values, as_float64


def path_mean(y: Values) -> Array:
    """The mean over the horizon, NaN for a window with any step missing.

    Its predictive law is exact for a multivariate t or Gaussian path: score it with
    ``crps_student`` and ``student_pit`` under its own location and scale.

    Args:
        y: [..., steps].

    Returns:
        Units of y, [...].

    Example:
        >>> path_mean([[1.0, 3.0], [1.0, float("nan")]])
        array([ 2., nan])
    """
    return np.asarray(as_float64(y).mean(axis=-1))


def energy_score(y: Values, paths: Values) -> Array:
    r"""Energy score of joint sample paths, unbiased, divided by √H.

    .. math:: \frac{1}{\sqrt H}\Big[\frac1S\sum_s\|x_s-y\|
              - \frac{1}{2S(S-1)}\sum_{s\ne s'}\|x_s-x_{s'}\|\Big]

    With one step it is the fair CRPS. Missing steps are left out of both norms and of H, which
    scores the margin of the steps that were seen. Source: Gneiting and Raftery (2007), JASA 102,
    eq. 22 (with the sign turned); the pairs s ≠ s' make the estimate unbiased.

    Args:
        y: what came, [windows, H].
        paths: joint draws, [windows, S, H]. Memory is windows · S · (S + H) float64: send chunks.

    Returns:
        Units of y, [windows]; NaN where every step is missing.

    Raises:
        ValueError: fewer than two paths, or shapes that do not match.

    Example:
        >>> energy_score([[0.0, 0.0]], [[[1.0, 1.0], [-1.0, -1.0]]]).round(6)
        array([0.])
    """
    y, paths = as_float64(y), as_float64(paths)
    if paths.ndim != 3 or y.shape != (paths.shape[0], paths.shape[2]) or paths.shape[1] < 2:
        raise ValueError(
            f"found y of shape {y.shape} and paths of shape {paths.shape}, expected "
            "[windows, H] and [windows, S, H] with S >= 2: draw two paths or more for each window"
        )
    draws = paths.shape[1]
    seen = ~np.isnan(y)
    offsets = torch.from_numpy(np.where(seen[:, None, :], paths - y[:, None, :], 0.0))
    error = torch.linalg.vector_norm(offsets, dim=-1).mean(dim=-1)
    # About their mean, so that the squared norms which cancel are no larger than the spread.
    centred = offsets - offsets.mean(dim=1, keepdim=True)
    squared = centred.square().sum(dim=-1)
    gram = torch.baddbmm(
        squared[:, :, None] + squared[:, None, :], centred, centred.mT, beta=1.0, alpha=-2.0
    )
    gram.diagonal(dim1=-2, dim2=-1).zero_()  # rounding there would enter as its root
    pairs = gram.clamp_(min=0.0).sqrt_().sum(dim=(-2, -1)) / (2.0 * draws * (draws - 1))
    steps = np.where(seen.any(axis=1), seen.sum(axis=1), np.nan)
    return np.asarray((error - pairs).numpy() / np.sqrt(steps))


def energy_score_point(y: Values, path: Values) -> Array:
    r"""Energy score of a single path taken as certain: ‖path − y‖/√H, missing steps left out.

    Args:
        y: what came, [windows, H].
        path: [windows, H].

    Returns:
        Units of y, [windows]; NaN where every step is missing.

    Example:
        >>> energy_score_point([[3.0, 4.0]], [[0.0, 0.0]]).round(4)
        array([3.5355])
    """
    squared = np.square(as_float64(path) - as_float64(y))
    seen = ~np.isnan(squared)
    steps = np.where(seen.any(axis=-1), seen.sum(axis=-1), np.nan)
    return np.asarray(np.sqrt(np.nansum(squared, axis=-1) / steps))
