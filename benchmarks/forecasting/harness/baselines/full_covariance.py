r"""One correlation matrix of all steps for all windows, over any margins: dependence without units.

.. math:: y = m(x) + \sqrt{\nu/g}\; D(x)\, C^{1/2} \varepsilon

The margins are a trained network's, and stay as they are. C maximises the likelihood of the
training windows given them: for a Gaussian it is the correlation of standardised errors, for a t
the fixed point of C = mean of w r r' with w = (ν + H) / (ν + r' C⁻¹ r). It is then shrunk towards
the identity by as much as serves validation windows best. No gradient steps are taken, so that
nothing is lost by stopping early.

What limits it is H: H(H+1)/2 numbers from windows that overlap, and H³ once for the factor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vneuron.forecasting.data.windows import WindowBatch, Windows, evenly_spaced
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.model import FittedModel

SHRINKAGES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
ROUNDS = 5
LEARNED_WINDOWS, JUDGED_WINDOWS = 65_536, 8_192
BATCH = 1024


@dataclass(frozen=True)
class FullCovariance:
    """Margins of a model, tied together by one correlation.

    Attributes:
        margins: the model.
        loading: W with n C = W W' + I for the one n that makes W real: as columns of ones' scales,
            C is then a law that the library has in closed form.
        shrinkage: the share of the identity in C.
    """

    margins: FittedModel
    loading: Tensor
    shrinkage: float

    @classmethod
    @torch.no_grad()
    def fit(cls, margins: FittedModel, train: Windows, validation: Windows) -> FullCovariance:
        """Find C on training windows, its shrinkage on validation windows."""
        few = train.take(evenly_spaced(len(train), LEARNED_WINDOWS))
        residuals = torch.cat([residual(margins, batch) for batch in few.batches(BATCH)])
        raw = scatter(residuals, margin_df(margins, few))
        judged = validation.take(evenly_spaced(len(validation), JUDGED_WINDOWS))
        found = []
        for share in SHRINKAGES:
            model = cls(margins, as_loading(shrunk(raw, share)), share)
            found.append((mean_joint_nll(model, judged), share))
        share = min(found)[1]
        return cls(margins, as_loading(shrunk(raw, share)), share)

    def __call__(self, batch: WindowBatch) -> TrajectoryDistribution:
        path = double(self.margins, batch)
        return replace(
            path, loading=self.loading, unit_scale=torch.ones(self.loading.shape[1]).double()
        )


def double(margins: FittedModel, batch: WindowBatch) -> TrajectoryDistribution:
    """The margins' forecast in double precision, without whatever else it says of dependence."""
    path = margins.forecast(batch)
    if not isinstance(path, TrajectoryDistribution):
        raise ValueError(f"found a {type(path).__name__}, expected margins of a trajectory network")
    path = path.rescale(torch.zeros(len(path)), torch.ones(len(path)))
    return TrajectoryDistribution(path.loc, path.scale, path.df)


def residual(margins: FittedModel, batch: WindowBatch) -> Tensor:
    """(y − m)/τ of windows whose whole target is known, [windows, H]."""
    batch = batch.complete()
    return double(margins, batch).residual(batch.target.double())


def margin_df(margins: FittedModel, windows: Windows) -> float | None:
    path = double(margins, windows.gather(torch.arange(1)))
    return None if path.df is None else float(path.df)


def scatter(residuals: Tensor, df: float | None) -> Tensor:
    """The correlation of greatest likelihood, [H, H]."""
    count, steps = residuals.shape
    identity = torch.eye(steps, dtype=residuals.dtype)
    found = as_correlation(residuals.T @ residuals / count)
    for _ in range(ROUNDS if df is not None else 0):
        factor = torch.linalg.cholesky(0.999 * found + 0.001 * identity)
        white = torch.linalg.solve_triangular(factor, residuals.T, upper=False)
        weight = (df + steps) / (df + white.square().sum(0))
        found = as_correlation((residuals.T * weight) @ residuals / count)
    return found


def as_correlation(matrix: Tensor) -> Tensor:
    spread = matrix.diagonal().sqrt()
    return matrix / spread[:, None] / spread


def shrunk(matrix: Tensor, share: float) -> Tensor:
    return (1.0 - share) * matrix + share * torch.eye(len(matrix), dtype=matrix.dtype)


def as_loading(matrix: Tensor) -> Tensor:
    """W [H, H] with W W' + I proportional to the matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    least = values[0] * (1.0 - 1e-9)
    return vectors * (values / least - 1.0).clamp_min(0.0).sqrt()


def mean_joint_nll(model: FullCovariance, windows: Windows) -> float:
    nats = [
        model(b).joint_nll(b.target.double(), b.target_observed) for b in windows.batches(BATCH)
    ]
    return float(torch.cat(nats).mean())
