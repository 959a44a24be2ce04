"""What training a trajectory network means: its objective, and what validation chooses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .data.windows import WindowBatch, Windows, evenly_spaced
from .forecast_task import (
    EVALUATION_BATCH,
    AbstractForecastObjective,
    AbstractForecastTask,
    decayed_groups,
)
from .laws.predictive import TrajectoryDistribution
from .laws.trajectory import AbstractTrajectory
from .networks.forecast_network import AbstractForecastNetwork
from .networks.network import TrajectoryNetwork
from .networks.pool import pool
from .networks.second_reader import shares
from .shrinkage import DEPARTURES, departure_losses, least_within
from .usefulness import Usefulness, measure_usefulness

USE_WINDOWS = 512
LOADING_RATE = 20.0
"""Learning rate of W over that of the rest. At 3, W is still on its way after eight epochs, and
what looks like a gain of units over a static head is the speed of learning: validation joint NLL
per step of units and static head, Exchange −1.636 and −1.582 at 3, −1.663 and −1.664 at 30;
ETTh1 .104 and .123 at 3, .100 and .116 at 30 (there units earn their cost)."""

MARGINS_GAIN = 0.003
"""Nats per step: an epoch that lowers the margins' validation NLL by less is the sign for them to
settle, where dependence is learned beside them. On ETTh1 they have learned what carries over after
two epochs, and would go on to learn windows by heart: at the end of eight, validation NLL is 1.002,
and .979 where they rest from the half on; 80% intervals hold .71 and .73, those of the window's
mean .61 and .66; joint NLL is level. Half-hourly electricity learns until the end: there a rest at
the half costs .05 nats per step and 3% of the CRPS. At .01 learners of small steps rest too early;
CRPS on rows before validation's at .01, at .003 and of the linear model, which never rests: ETTm1
.3360, .3335, .3332; METR-LA .3088, .3082, .3082; ETTh1 .4404, .4407, .4405. At .001 all are as at
.003, and four sets more are the same at all three. Margins that go back to the epoch of their
lowest validation NLL when they settle are no better: over 14 files of 1,800 to 4,000 rows (one
seed) CRPS is .4% and joint NLL .02 higher than of those that go on from where they are."""

GAINS = (0.0, 0.25, 0.5, 0.75, 1.0)

SHARES = (0.0, 0.25, 0.5, 0.75)
SHARE_WINDOWS = 4096
SHARE_LOSS = 0.01
"""Nats per step that a share may lose on validation windows for being nearer to a half."""

DEPARTURE_LOSS = 0.03
"""Nats per step that a path may lose on validation windows for being nearer to the level, no nearer
than a trial's allows. On later rows of exchange rates none of the path has a squared error 8 to 15%
lower than all of it, and loses .01 to .03 on these."""


class TrajectoryObjective(AbstractForecastObjective):
    r"""Rate-regularised likelihood of whole paths, in nats per window.

    .. math:: \underbrace{-\textstyle\sum_h \ln t_\nu(y_h)}_{\text{trains } m, R, \mu, \tau, \nu}
              \underbrace{-\ln t_\nu(y)}_{\text{trains } W, s} + \textstyle\sum_j \beta_j KL_j

    Where two readers of the window are pooled, the first term is the sum of both readers' own, so
    that each learns as it would alone. With a weight c it is joined by c times the CRPS of the
    same laws, in training deviations, which trains m, R and τ alone. The joint term sees fixed
    margins, the pool's. log p(y | x) is exact, with z integrated out, so that the KL here prices
    the information that units take from the window; it does not make a bound.

    Args:
        network: what is trained.
        crps_weight: c, nats per training deviation; 0 learns by likelihood alone.
    """

    def __init__(self, network: AbstractForecastNetwork, crps_weight: float = 0.0) -> None:
        super().__init__(network)
        self.crps_weight = crps_weight

    def nll(
        self, path: AbstractTrajectory, target: Tensor, observed: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Marginal NLL summed over steps and joint NLL with fixed margins, [batch]."""
        if not isinstance(path, TrajectoryDistribution):
            raise TypeError(f"found a {type(path).__name__}, expected a TrajectoryDistribution")
        nll = path.learned_nll(target, observed).sum(-1)
        logs = {"nll": nll.detach().mean() / (path.horizon * max(len(path.pooled), 1))}
        if self.crps_weight:
            nll = nll + self.crps_weight * path.learned_crps(target, observed).sum(-1)
        if path.loading is not None:
            joint = path.with_fixed_margins().joint_nll(target, observed)
            logs["joint_nll"] = joint.detach().mean() / path.horizon
            nll = nll + joint
        return nll, logs


class TrajectoryTask(AbstractForecastTask):
    """Training windows, validation windows, and a network between them.

    Checkpoints are chosen by the score that the model is for: joint NLL where it models
    dependence, the steps' own NLL where it does not. Choosing a joint model by a marginal score
    stops it before dependence is learned.

    Args:
        network: what is trained.
        train: windows to learn from.
        validation: held-out windows; at least one.
        weight_decay: of AdamW, on weight matrices.
        loading_rate: learning rate of W over that of the rest.
        crps_weight: what the CRPS of single steps counts for beside their likelihood.
    """

    def __init__(
        self,
        network: TrajectoryNetwork,
        train: Windows,
        validation: Windows,
        weight_decay: float = 1e-2,
        loading_rate: float = LOADING_RATE,
        crps_weight: float = 0.0,
    ) -> None:
        score = "val_nll" if network.loading is None else "val_joint_nll"
        objective = TrajectoryObjective(network, crps_weight)
        super().__init__(objective, network, score, train, validation, USE_WINDOWS)
        self.network = network
        self._weight_decay = weight_decay
        self._loading_rate = loading_rate

    def parameter_groups(self) -> list[dict[str, Any]]:
        """W, ρ and δ learn faster and are not pulled to zero; biases and ν are not decayed."""
        return network_groups(self.network, self._weight_decay, self._loading_rate)

    def calibrate(self, windows: Windows) -> None:
        """Set what a second reader counts for, how far paths go, and how much of Rµ they use."""
        if self.network.second_share is not None:
            self.network.second_share.copy_(_best_share(self.network, windows))
        if self.network.departure is not None:
            self.network.departure.copy_(_least_departure(self.network, windows))
        if self.network.units is not None:
            self.network.mean_gain.copy_(_best_gain(self.network, windows))

    def usefulness(self, batch: WindowBatch) -> Usefulness | None:
        """Use, dynamic use and outcome information of every unit, in closed form."""
        return measure_usefulness(self.network, batch)


def network_groups(
    network: TrajectoryNetwork, weight_decay: float, loading_rate: float
) -> list[dict[str, Any]]:
    """Groups for AdamW: margins, which settle first, units, and what ties the steps by itself.

    Args:
        network: all of it is trained that requires a gradient.
        weight_decay: of the other matrices.
        loading_rate: learning rate of W and of the own noise over that of the rest.
    """
    fast = network.dependence()
    margins = network.margins()
    second = [] if network.second is None else network.second.margins()
    known = {id(parameter) for parameter in (*fast, *margins, *second)}
    others = [p for p in network.parameters() if id(p) not in known and p.requires_grad]
    groups = decayed_groups([p for p in margins if p.requires_grad], weight_decay)
    # clipped with the first's, the larger gradients of a reader that fits badly would slow it down
    groups += [{**group, "clipped": "second"} for group in decayed_groups(second, weight_decay)]
    if fast:
        rest = {"settles_by": "val_nll", "settles_at": MARGINS_GAIN}
        groups = [{**group, **rest} for group in groups]
    if others:
        groups += decayed_groups(others, weight_decay)
    if fast:
        groups.append({"params": fast, "weight_decay": 0.0, "lr_scale": loading_rate})
    return groups


def _best_share(network: TrajectoryNetwork, windows: Windows) -> Tensor:
    """What the second of two readers counts for, by single steps' likelihood on held-out windows.

    Of those that lose next to nothing there the most even one: rows that come later are less like
    training's than these are. 30 pairs of readers trained apart, on later rows of ETTh1, ILI and
    exchange rates (`readers.py`, the benchmark): CRPS .979 of the first reader's and NLL .037 lower
    so, .981 and .031 with the best share, .980 and .033 with equal ones.
    """
    losses, steps = torch.zeros(len(SHARES), dtype=torch.float64), 0
    some = evenly_spaced(len(windows), SHARE_WINDOWS).to(windows.device)
    for batch in windows.take(some).batches(EVALUATION_BATCH):
        reading = network.read(*batch.inputs)
        first, second = reading.readers
        if reading.latent is not None:
            shift = network.mean_gain * network.mean_shift(reading.latent)
            first = first._replace(mean_path=first.mean_path + shift)
        target = reading.window.apply(batch.target)
        known = batch.target_observed
        steps += target.numel() if known is None else int(known.sum())
        for i, share in enumerate(SHARES):
            both = pool([first, second], shares(target.new_tensor(share))).margins
            path = TrajectoryDistribution(both.mean_path, both.spread, both.df)
            losses[i] += path.marginal_nll(target, known).double().sum().cpu()
    return torch.tensor(most_even(losses / max(steps, 1)))


def most_even(losses: Tensor) -> float:
    """The share next to a half of those that lose no more than `SHARE_LOSS` against the best.

    Args:
        losses: nats per step, of each of `SHARES`.

    Example:
        >>> most_even(torch.tensor([0.503, 0.5, 0.509, 0.52])), SHARE_LOSS
        (0.5, 0.01)
        >>> most_even(torch.tensor([0.503, 0.5, 0.512, 0.52]))
        0.25
    """
    near = losses <= losses.min() + SHARE_LOSS
    within = [share for share, is_near in zip(SHARES, near.tolist(), strict=True) if is_near]
    return min(within, key=lambda share: abs(share - 0.5), default=0.5)


def _least_departure(network: TrajectoryNetwork, windows: Windows) -> Tensor:
    """How far forecasts leave the level of their window: as little as held-out windows allow.

    These follow at once upon what was learned, where its turns still hold.
    """
    some = evenly_spaced(len(windows), SHARE_WINDOWS).to(windows.device)
    losses = departure_losses(network, windows.take(some).batches(EVALUATION_BATCH))
    losses[torch.tensor(DEPARTURES) < network.least_departure] = torch.inf
    return torch.tensor(least_within(losses, DEPARTURE_LOSS))


def _best_gain(network: TrajectoryNetwork, windows: Windows) -> Tensor:
    """How much of Rµ serves single steps on held-out windows.

    On short or wandering series what units add to the mean path is noise (Exchange: validation
    MSE .140 with all of it, .132 with none), on Weather it is signal (.480 against .484).
    """
    losses = torch.zeros(len(GAINS), dtype=torch.float64)
    for batch in windows.batches(EVALUATION_BATCH):
        reading = network.read(*batch.inputs)
        if reading.latent is None:
            break
        base = reading.window.location + reading.window.scale * reading.mean_path
        shift = reading.window.scale * network.mean_shift(reading.latent)
        if reading.heard is not None:
            shift = reading.heard * shift
        scale = reading.window.scale * reading.spread
        for i, gain in enumerate(GAINS):
            path = TrajectoryDistribution(base + gain * shift, scale, network.df())
            nll = path.marginal_nll(batch.target, batch.target_observed)
            losses[i] += nll.double().sum().cpu()
    return torch.tensor(GAINS[int(losses.argmin())])
