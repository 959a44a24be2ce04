"""Does the forecaster know what it has not seen? AUROC of novelty scores on injected faults.

Test windows against the same windows with a fault, and against windows of other data. Scores:

- novelty: EVE-novelty, the units' nats and the familiarity of the context's looks together;
- units: the units' nats alone, KL of their posteriors from the aggregate of training;
- familiarity: the looks alone;
- variance: mean log standard deviation of EVE's forecast, in training deviations;
- ensemble: mean log spread between the mean paths of five deterministic twins, those of the
  ensemble that run.py scores;
- features: Mahalanobis distance of EVE's features (shrunk covariance of training windows);
- pca: reconstruction error of normalised windows by 16 principal components.

Settings of the familiarity score were chosen on validation windows with faults of other seeds.

    python benchmarks/forecasting/novelty.py ETTh1.csv --other exchange_rate.csv weather.csv
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from faults import FAULTS
from harness.models import MEMBERS
from trained import name_of, parser, tested, trained, workshop

from vneuron.forecasting.data.place import Place
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.data.windows import evenly_spaced, flatten
from vneuron.forecasting.familiarity import Familiarity
from vneuron.forecasting.networks.forecast_network import Reading
from vneuron.forecasting.novelty import novelty

SCORES = ("novelty", "units", "familiarity", "variance", "ensemble", "features", "pca")
SEEN, COMPONENTS = 8192, 16


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--other", nargs="*", default=[], help="files with windows of other data")
    options.add_argument("--windows", type=int, default=1000)
    arguments = options.parse_args()
    rows = []
    for seed in arguments.seeds:
        field, _, material = trained(arguments, seed)
        shop = workshop(arguments, seed)
        twins = [shop.member(k).contender("twin")[0].network for k in range(MEMBERS)]
        seen = contexts(material.train, SEEN)
        judge = Judge(field.eve.network, twins, *seen, arguments.input_size)
        random = np.random.default_rng(seed)
        test, place = contexts(tested(material), arguments.windows)
        usual = judge(test, place)
        near = test[:, -arguments.input_size :]
        cases = {name: ending(test, fault(near, random)) for name, fault in FAULTS.items()}
        for path in arguments.other:
            cases[path.split("/")[-1].split(".")[0]] = other_contexts(path, test.shape, random)
        for case, faulty in cases.items():
            found = judge(faulty, place)
            row = {score: auroc(usual[score], found[score]) for score in SCORES}
            rows.append({"seed": seed, "case": case, **row})
    frame = pd.DataFrame(rows)
    folder = arguments.out / "novelty"
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / f"{name_of(arguments)}-{arguments.horizon}.parquet", index=False)
    table = frame.drop(columns="seed").groupby("case", sort=False)
    mean, sd = table.mean(), table.std()
    faults = frame[frame["case"].isin(FAULTS)].drop(columns="case").groupby("seed").mean()
    mean.loc["mean of faults"], sd.loc["mean of faults"] = faults.mean(), faults.std()
    print(f"{name_of(arguments)}: AUROC, mean (sd) over {len(arguments.seeds)} seeds, ", end="")
    print(f"{arguments.windows} test windows; usual novelty {np.median(usual['novelty']):.1f}")
    print((mean.map("{:.3f}".format) + sd.map(" ({:.3f})".format)).to_string())


def contexts(windows, count: int) -> tuple[np.ndarray, Place | None]:
    """Some contexts, and where they stand; a faulty window, or another's, stands there too."""
    batch = windows.gather(evenly_spaced(len(windows), count))
    return batch.context.double().numpy(), batch.place


def ending(contexts: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The contexts with other last rows: what a second reader sees before them stays."""
    return np.concatenate([contexts[:, : -near.shape[1]], near], axis=1)


def other_contexts(path: str, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Contexts of another data set, scaled by its own rows."""
    panel = read_table(path, missing="interpolate", duplicates="first").panel
    scaled = flatten(panel, Scaling.fit(panel, panel.lengths))
    flat = scaled.values.double().numpy()  # noqa: PD011 (a tensor, not a frame)
    series = random.integers(len(panel), size=shape[0])
    room = panel.lengths[series] - shape[1]
    start = panel.offsets[series] + (random.random(shape[0]) * room).astype(int)
    return flat[start[:, None] + np.arange(shape[1])]


class Judge:
    """All scores of contexts [windows, L]; higher is stranger.

    Networks read all of a context; looks and components are those of the rows that the first
    reader sees, which is what the library's novelty goes by.
    """

    def __init__(
        self, network, twins: list, seen: np.ndarray, place: Place | None, near: int
    ) -> None:
        self.network, self.twins, self.near = network, twins, near
        self.familiarity = Familiarity.fit(seen[:, -near:])
        _, features = self.read(seen, place)
        self.centre = features.mean(0)
        covariance = np.cov(features.T)
        ridge = 1e-2 * np.trace(covariance) / len(covariance)
        self.precision = np.linalg.inv(covariance + ridge * np.eye(len(covariance)))
        unit = normalised(seen[:, -near:])
        self.mean = unit.mean(0)
        _, vectors = np.linalg.eigh((unit - self.mean).T @ (unit - self.mean))
        self.basis = vectors[:, ::-1][:, :COMPONENTS]

    @torch.no_grad()
    def __call__(self, x: np.ndarray, place: Place | None) -> dict[str, np.ndarray]:
        context = torch.from_numpy(x).float()
        reading, features = self.read(x, place)
        path = self.network.distribution(reading)
        units = novelty(self.network.units, reading.latent).double().numpy()
        near = x[:, -self.near :]
        looks = self.familiarity.nats(torch.from_numpy(near).float().double().numpy())
        means = torch.stack([twin(context, None, place).point() for twin in self.twins])
        off = features - self.centre
        gap = normalised(near) - self.mean
        return {
            "novelty": units + looks,
            "units": units,
            "familiarity": looks,
            "variance": path.sd().log().mean(1).numpy(),
            "ensemble": means.std(0).clamp_min(1e-9).log().mean(1).numpy(),
            "features": np.einsum("bi,ij,bj->b", off, self.precision, off),
            "pca": np.square(gap - gap @ self.basis @ self.basis.T).sum(1),
        }

    @torch.no_grad()
    def read(self, x: np.ndarray, place: Place | None) -> tuple[Reading, np.ndarray]:
        """What the network reads out of contexts, and the features by which it does."""
        found: list[torch.Tensor] = []
        hook = self.network.features.register_forward_hook(lambda *call: found.append(call[2]))
        reading = self.network.read(torch.from_numpy(x).float(), None, place)
        hook.remove()
        return reading, found[0].double().numpy()


def normalised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-4)


def auroc(usual: np.ndarray, strange: np.ndarray) -> float:
    """Probability that a strange window scores higher than a usual one; ties count half."""
    both = np.concatenate([usual, strange])
    ranks = pd.Series(both).rank().to_numpy()[len(usual) :]
    count = len(strange)
    return float((ranks.sum() - count * (count + 1) / 2) / len(usual) / count)


if __name__ == "__main__":
    main()
