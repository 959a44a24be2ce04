r"""What each dimension of a macro latent is worth: the nats that it saves the units.

Nothing is forecast from g; the units' prior N(b + A g, s²) is. So its use is the rise of the
units' held-out KL, nats per window, when one dimension of it says nothing. With g ~ N(m, v²),

.. math:: \mathrm{E}_g \sum_j KL_j = \text{const}
          + \sum_{jk} \frac{(\mu_{jk} - b_{jk} - A_{jk} m)^2 + \sum_i A_{jki}^2 v_i^2}{2 s_{jk}^2}

is quadratic in m and v, and every change of it exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..priors import MacroNormal
from ..units import GaussianUnits
from .data.windows import WindowBatch
from .networks.forecast_network import AbstractForecastNetwork


@torch.no_grad()
def measure_macro_use(
    network: AbstractForecastNetwork, batch: WindowBatch
) -> tuple[Tensor, Tensor] | None:
    """Use and dynamic use of every dimension of the macro latent.

    *Use* is the rise when g_i is its mean over the windows, without noise; *dynamic use* the rise
    when its m_i and v_i are at their means, so that it still draws.

    Args:
        network: in evaluation mode.
        batch: held-out windows.

    Returns:
        Nats per window, [macro_dim] each; None without a macro latent.
    """
    units = network.units
    reading = network.read(*batch.inputs)
    if not isinstance(units, GaussianUnits) or not isinstance(units.prior, MacroNormal):
        return None
    if reading.latent is None or reading.macro is None:
        return None
    mean, spread = reading.macro.loc.flatten(1), reading.macro.scale.flatten(1)
    centre, scale = units.prior.conditional(mean)
    weight = units.prior.weight / scale[..., None]
    error = (reading.latent.loc - centre) / scale
    shift = mean - mean.mean(0)
    curvature = weight.square().sum((0, 1))
    slope = torch.einsum("bjk,jki->bi", error, weight)
    rise = (shift * slope + 0.5 * shift.square() * curvature).mean(0)
    noise = 0.5 * curvature * spread.square().mean(0)
    frozen = 0.5 * curvature * spread.mean(0).square()
    return rise - noise, rise - noise + frozen
