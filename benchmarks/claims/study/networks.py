"""Where an MLP keeps its uncertainty: nowhere, in one latent of all, its weights, layers, units.

Every network maps x [batch, inputs] to outputs [batch, outputs] through `depth` hidden layers of
one width, GELU between them; its layers of units record their KL. They differ in what is random.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vneuron as vn
from vneuron.functional.gaussian import kl_divergence

GLOBAL_LATENT, LAYER_LATENT = 16, 8
INITIAL_WEIGHT_SCALE = 0.02
KINDS = ("deterministic", "global latent", "weights", "a layer", "a unit")


class BayesianLinear(nn.Module):
    """A linear map with independent Gaussian weights, drawn through what it gives.

    The local reparameterisation of Kingma, Salimans and Welling (2015, arXiv:1506.02557, equation
    6): outputs are Gaussian with mean x M and variance x² S², a draw for each example. Biases are
    not random. The prior is that of the usual start, N(0, 1 / inputs).

    Args:
        inputs: size of x.
        outputs: size of y.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        plain = nn.Linear(inputs, outputs)
        self.loc, self.bias = nn.Parameter(plain.weight.data), nn.Parameter(plain.bias.data)
        self.log_scale = nn.Parameter(torch.full_like(self.loc, INITIAL_WEIGHT_SCALE).log())
        self.prior_scale = inputs**-0.5

    def forward(self, x: Tensor) -> Tensor:
        """Outputs under weights of each example's own."""
        variance = F.linear(x.square(), (2.0 * self.log_scale).exp())
        mean = F.linear(x, self.loc, self.bias)
        return mean + variance.clamp_min(1e-16).sqrt() * torch.randn_like(mean)

    def kl(self) -> Tensor:
        """Of all weights to their prior, nats."""
        zero = self.loc.new_zeros(())
        return kl_divergence(self.loc, self.log_scale.exp(), zero, zero + self.prior_scale).sum()


class SharedLatent(nn.Module):
    """A hidden layer, and one latent vector that moves all of its features at once."""

    def __init__(self, inputs: int, outputs: int, latent: int, beta: float) -> None:
        super().__init__()
        self.plain = nn.Linear(inputs, outputs)
        self.latent = vn.GaussianUnits(inputs, 1, latent, beta=beta, activity="raw")
        self.spread = nn.Linear(latent, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features before their non-linearity."""
        found: Tensor = self.plain(x) + self.spread(self.latent(x).flatten(1))
        return found


def build(kind: str, inputs: int, outputs: int, width: int, depth: int, beta: float) -> nn.Module:
    """A fresh network.

    Args:
        kind: one of `KINDS`.
        inputs: size of x.
        outputs: size of what the likelihood takes.
        width: of its hidden layers.
        depth: how many hidden layers.
        beta: price of a nat of KL, for latents; a Bayesian network's is in its objective.
    """
    makers: dict[str, Callable[[int, int, int], nn.Module]] = {
        "deterministic": lambda i, o, n: nn.Linear(i, o),
        "weights": lambda i, o, n: BayesianLinear(i, o),
        "a layer": lambda i, o, n: SharedLatent(i, o, LAYER_LATENT, beta),
        "a unit": lambda i, o, n: vn.GaussianUnits(i, o, beta=beta, initial_scale=0.3),
        "global latent": lambda i, o, n: (
            SharedLatent(i, o, GLOBAL_LATENT, beta) if n == depth - 1 else nn.Linear(i, o)
        ),
    }
    if kind not in makers:
        raise ValueError(f"kind is {kind!r}, expected one of {KINDS}.")
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [makers[kind](inputs if number == 0 else width, width, number), nn.GELU()]
    last = BayesianLinear(width, outputs) if kind == "weights" else nn.Linear(width, outputs)
    return nn.Sequential(*layers, last)


def parameters(network: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(p.numel() for p in network.parameters())


def width_for(kind: str, inputs: int, outputs: int, depth: int, budget: int) -> int:
    """The hidden width whose network comes closest to a budget of parameters."""
    sizes = range(4, 257)
    return min(
        sizes, key=lambda w: abs(parameters(build(kind, inputs, outputs, w, depth, 1.0)) - budget)
    )


def weight_kl(network: nn.Module) -> Tensor:
    """KL of all Bayesian weights, nats; 0 without them."""
    found = [m.kl() for m in network.modules() if isinstance(m, BayesianLinear)]
    return torch.stack(found).sum() if found else torch.zeros(())
