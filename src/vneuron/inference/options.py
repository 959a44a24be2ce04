"""How inference is done, apart from the model that it is done in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ..functional.poisson import Window

Draws: TypeAlias = Literal["sampled", "mean"]
Anchor: TypeAlias = Literal["rolling", "fixed"]


@dataclass(frozen=True)
class InferenceOptions:
    """Choices of the natural-gradient steps.

    Attributes:
        draws: "sampled": errors are those of a draw from the posterior, as a spiking network
            would make them. "mean": those of its mean; free energies are then exact where the
            decoder is linear, and nothing is random.
        anchor: what a step's KL is measured from. "rolling": the previous step's posterior, the
            belief update of arXiv:2410.19315. "fixed": the learned prior, always.
        inner: natural-gradient updates within a step. With one update and a rolling anchor the
            KL's gradient is zero.
        kl_weight: β within inference, the weight of the KL's gradient in a step.
        lateral: include ½ diag(ΦᵀΣ⁻¹Φ), by which the expected squared error of a Poisson or
            Gaussian code exceeds that of its mean. Linear decoders only; others do without.
        max_step: c of the smooth limit c tanh(du/c) on a single update.
        max_log_rate: hard ceiling of u for Poisson units: no rate exceeds its exponential.
        window: how relaxed counts see the end of their window.
        reference_compat: reproduce the update of the published code of arXiv:2410.19315 (its
            commit 38c5bf2) in place of the above: no lateral term, its soft limits, the sigmoid
            window, separate draws for inference and loss, and a KL with the posterior's rate in
            place of the prior's.

    Raises:
        ValueError: if a choice is unknown or a number out of range.

    Example:
        >>> InferenceOptions(draws="mean").anchor
        'rolling'
    """

    draws: Draws = "sampled"
    anchor: Anchor = "rolling"
    inner: int = 1
    kl_weight: float = 1.0
    lateral: bool = True
    max_step: float = 2.0
    max_log_rate: float = 6.0
    window: Window = "cubic"
    reference_compat: bool = False

    def __post_init__(self) -> None:
        choices = {"draws": Draws, "anchor": Anchor, "window": Window}
        for name, kinds in choices.items():
            if getattr(self, name) not in get_args(kinds):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, expected one of {get_args(kinds)}."
                )
        if self.inner < 1:
            raise ValueError(f"inner is {self.inner}, expected at least 1.")
        if not self.kl_weight >= 0:
            raise ValueError(f"kl_weight is {self.kl_weight}, expected a number not below 0.")
        if not self.max_step > 0:
            raise ValueError(f"max_step is {self.max_step}, expected a positive number.")
        if self.reference_compat and (self.draws, self.anchor) != ("sampled", "rolling"):
            raise ValueError(
                f"reference_compat is set with draws={self.draws!r} and anchor={self.anchor!r}: "
                "the reference samples and rolls; leave both at their defaults."
            )
