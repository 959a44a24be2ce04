"""Parity with the published code: the same parameters and the same draws give the same potentials.

    git clone https://github.com/hadivafaii/IterativeVAE ~/IterativeVAE
    python benchmarks/iterative/parity.py ~/IterativeVAE

Each of 50 steps takes the draws that the reference made, and the largest difference of u (of µ and
ln σ) is printed; the benchmark fails above 1e-5. Skipped where there is no checkout.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vneuron.functional.poisson import kl_divergence
from vneuron.inference import (
    GaussianState,
    InferenceOptions,
    IterativeGaussian,
    IterativePoisson,
    LinearDecoder,
)

sys.path.insert(0, str(Path(__file__).parent))
from reference import build, load

BATCH, STEPS, FEATURES, LATENTS, TOLERANCE = 50, 50, 256, 512, 1e-5


def randomise(layer: Any, scale: float) -> None:
    """Parameters away from their start, where everything would agree."""
    with torch.no_grad():
        layer.phi.weight.normal_(0.0, scale)
        layer.dec_log_sigma.uniform_(-0.3, 0.3)
        layer.log_bias.uniform_(-4.0, -1.0)
        for log_lr in layer.log_lr:
            log_lr.uniform_(-2.5, -1.5)  # stable: else rounding grows without bound


def copy_shared(layer: Any, model: Any) -> None:
    with torch.no_grad():
        model.decoder.dictionary.copy_(layer.phi.weight)
        model.raw_log_sigma.copy_(layer.dec_log_sigma[0])
        model.log_leak.copy_(layer.log_bias[0])
        model.log_gain.copy_(torch.cat(list(layer.log_lr)))


@torch.no_grad()
def poisson(reference: Any) -> float:
    theirs = build(reference, "poisson", latents=LATENTS).eval()
    layer = theirs.layer
    randomise(layer, 0.04)
    ours = IterativePoisson(
        LinearDecoder(LATENTS, FEATURES), InferenceOptions(reference_compat=True)
    )
    copy_shared(layer, ours)
    ours.log_prior.copy_(layer.u_init[0][0])
    draws: list[Tensor] = []
    ours.sample = lambda log_rate, temperature: draws.pop(0)  # type: ignore[method-assign]
    draws.append(torch.zeros(BATCH, LATENTS))
    state, x, worst = ours.init_state(BATCH), torch.randn(BATCH, FEATURES), 0.0
    for step in range(STEPS):
        layer.time = step
        before = state
        layer(x, temp=0.0)
        inference = layer.samples
        layer.generate(temp=0.0)
        draws += [inference, layer.samples]
        state = ours.step(state, x)
        worst = max(worst, float((state.log_rate - layer.u[0]).abs().max()))
        terms = ours.terms(before, state, x, ours.constants())
        torch.testing.assert_close(terms.kl, layer.loss_kl(), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(terms.nll, layer.loss_recon(x), atol=1e-2, rtol=1e-4)
    ratio = layer.loss_kl().sum() / kl_divergence(state.log_rate, before.log_rate).sum()
    print(f"  its KL over the true one at the last step: {float(ratio):.3f}")
    return worst


@torch.no_grad()
def gaussian(reference: Any, act: str | None) -> float:
    theirs = build(reference, "gaussian", latents=LATENTS, act=act).eval()
    layer = theirs.layer
    randomise(layer, 0.04)
    ours = IterativeGaussian(
        LinearDecoder(LATENTS, FEATURES),
        InferenceOptions(reference_compat=True),
        "identity" if act is None else "rectified",
    )
    copy_shared(layer, ours)
    for parameter, value in zip((ours.prior_loc, ours.prior_log_scale), layer.u_init, strict=True):
        parameter.copy_(value[0])
    if ours.log_output_gain is not None:
        layer.activation.log_gain.uniform_(-0.3, 0.3)
        ours.log_output_gain.copy_(layer.activation.log_gain[0])
    noises: list[Tensor] = []

    def draw(loc: Tensor, log_scale: Tensor) -> GaussianState:
        noise = noises.pop(0)
        activity = ours._activate(loc + log_scale.exp() * noise)
        return GaussianState(loc, log_scale, noise, ours.decoder(activity))

    ours._draw = draw  # type: ignore[method-assign]
    noises.append(torch.zeros(BATCH, LATENTS))
    state, x, worst = ours.init_state(BATCH), torch.randn(BATCH, FEATURES), 0.0
    for step in range(STEPS):
        layer.time = step
        layer(x, temp=1.0)
        # Their draw was made before the step, from the state that ours still has.
        noises.append((layer.samples - state.loc) / state.log_scale.exp())
        layer.generate(temp=1.0)
        noises.append((layer.samples - layer.u[0]) / layer.u[1].exp())
        state = ours.step(state, x)
        for found, expected in zip(state[:2], layer.u, strict=True):
            worst = max(worst, float((found - expected).abs().max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="of hadivafaii/IterativeVAE")
    options = parser.parse_args()
    if not (options.checkout / "main" / "layers.py").is_file():
        print(f"skipped: {options.checkout} is no checkout of hadivafaii/IterativeVAE")
        return
    torch.set_num_threads(1)
    reference = load(options.checkout)
    torch.manual_seed(0)
    found = {
        "iP-VAE": poisson(reference),
        "iG-VAE": gaussian(reference, None),
        "iG-VAE, rectified": gaussian(reference, "relu"),
    }
    for name, worst in found.items():
        print(f"{name}: largest difference over {STEPS} steps {worst:.2e}")
    if max(found.values()) > TOLERANCE:
        sys.exit(f"parity is lost: above {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
