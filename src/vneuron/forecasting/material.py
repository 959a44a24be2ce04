"""The data of a fit, prepared: split, scaled, flattened, and cut into windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ..training.launch import check_devices
from .config import ForecasterConfig
from .context_choice import (
    EARLY,
    LEAST_WINDOWS,
    choose_reader,
    encoder_scores,
    first_start,
    input_sizes,
    too_long,
)
from .data.calendar import periods_of
from .data.counts import check_counts
from .data.errors import DataError
from .data.frame import Panel
from .data.place import Period, Surroundings
from .data.rows import Ints, portions
from .data.scaling import Scaling
from .data.split import RowRange, Size, Split
from .data.windows import FlatSeries, Windows, evenly_spaced, flatten, windows_between
from .evaluation import StepScores
from .familiarity import MOST_WINDOWS, Familiarity
from .networks.normalisation import Location, choose_location
from .season import find_season
from .second_choice import first_second, second_size
from .training_budget import suited_batch, suited_epochs, suited_patience
from .trial import Reader, TrialData, best_of

LOCATION_WINDOWS = 4096
JUDGED_WINDOWS = 131_072
"""Beyond so many validation windows an epoch would be judged for longer than it is trained."""


@dataclass(frozen=True)
class Material:
    """What training needs of the data.

    Attributes:
        panel: the series, whole.
        split: rows for training, validation and test.
        scaling: by training rows.
        flat: all rows, scaled.
        train: windows wholly in the training rows.
        validation: windows whose targets lie in the validation rows.
        location: what windows are centred on.
        config: the forecaster's options, with those that the data decide.
        periods: of the calendar, that the training rows hold often enough.
    """

    panel: Panel
    split: Split
    scaling: Scaling
    flat: FlatSeries
    train: Windows
    validation: Windows
    location: Location
    config: ForecasterConfig
    periods: tuple[Period, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the data, one sentence each."""
        return (*self.panel.notes, *self.split.notes, *self.scaling.notes)

    @property
    def judged(self) -> Windows:
        """The validation windows by which epochs are judged: all, or 131,072 evenly spaced."""
        if len(self.validation) <= JUDGED_WINDOWS:
            return self.validation
        return self.validation.take(evenly_spaced(len(self.validation), JUDGED_WINDOWS))

    @property
    def trial_data(self) -> TrialData:
        """What short trials need of it."""
        surroundings = Surroundings(len(self.panel), self.periods)
        early = _early_windows(self.flat, self.split, self.config)
        return TrialData(
            self.train, early, self.validation, self.location, self.mask_inputs, surroundings
        )

    @property
    def mask_inputs(self) -> bool:
        """Whether a network has to be told which values are missing, now or when it forecasts."""
        return self.config.missing == "mask"

    @cached_property
    def familiarity(self) -> Familiarity | None:
        """What training windows look like; None where they are too short to describe."""
        some = evenly_spaced(len(self.train), MOST_WINDOWS).to(self.train.device)
        context = self.train.gather(some).context[:, -self.config.first_lookback :]
        return Familiarity.fit(context.double().cpu().numpy())


def prepare(
    panel: Panel,
    config: ForecasterConfig,
    *,
    train_size: Size = None,
    val_size: Size = None,
    test_size: Size = None,
    chosen: Mapping[str, Any] | None = None,
) -> Material:
    """Split by target span, scale by training rows, cut into windows, choose what is left open.

    Args:
        panel: the series.
        config: the forecaster's options.
        train_size: rows of each series to train on; None takes what the others leave.
        val_size: rows after those.
        test_size: rows after those.
        chosen: input size, encoder, features, start, second and its size, departure, batch size,
            epochs and patience that an earlier run of the same fit chose; None chooses them, where
            the options leave them open.

    Raises:
        DataError: a series is too short, or there is nothing to train or to validate on.
        ValueError: the devices that training asks for are not there.
    """
    check_devices(config.training(quiet=True))
    sizes: dict[str, Size] = {
        "train_size": train_size,
        "val_size": val_size,
        "test_size": test_size,
    }
    if chosen is not None:
        config = config.with_choices(chosen)
    if config.input_size is None:
        config = _with_input_size(panel, config, sizes)
    if config.earlier_windows and config.known_lag is None:
        # Rows for training do not depend on the lag; whether they suffice is asked again below.
        rows = Split.of(panel, config.context_size, config.horizon, **sizes).train.stop
        config = replace(config, lag=find_season(panel, rows, config.context_size))
    split = Split.of(panel, config.first_lookback, config.horizon, **sizes)
    if config.counts:
        check_counts(panel, config.likelihood)
        scaling = Scaling.identity(panel)
    else:
        scaling = Scaling.fit(panel, split.train.stop)
    flat = flatten(panel, scaling)
    # what a second reader looks back further is for it alone: all choices are by these windows
    train, validation = _cut(flat, split, config, config.first_lookback)
    config = _suited(config, len(train))
    location = _location(train) if config.location == "auto" else config.location
    periods = () if flat.times is None else periods_of(panel, split.train.stop)
    material = Material(panel, split, scaling, flat, train, validation, location, config, periods)
    if config.network != "trajectory":
        return material
    if config.second != "none" and config.second_size is None:
        shortest = int(split.train.lengths.min())
        config = replace(config, second_size=second_size(config.context_size, shortest))
    if "auto" in (config.encoder, config.features):
        config = choose_reader(material.trial_data, config)
    second = first_second(config)
    reach = None if second == "none" else config.second_size
    departure = 1.0 if config.departure == "auto" else config.departure
    config = replace(
        config,
        start=first_start(config),
        second=second,
        second_size=reach,
        departure=departure,
    )
    if config.lookback > config.first_lookback:
        train, validation = _cut(flat, split, config, config.lookback)
    return replace(material, train=train, validation=validation, config=config)


def _suited(config: ForecasterConfig, windows: int) -> ForecasterConfig:
    """The same with what follows from how many windows there are to train on."""
    batch, epochs, patience = config.batch_size, config.epochs, config.patience
    batch = suited_batch(windows) if batch is None else batch
    epochs = suited_epochs(windows, batch) if epochs is None else epochs
    patience = suited_patience(epochs) if patience is None else patience
    return replace(config, batch_size=batch, epochs=epochs, patience=patience)


def _cut(
    flat: FlatSeries, split: Split, config: ForecasterConfig, lookback: int
) -> tuple[Windows, Windows]:
    """Windows to train on and to validate on.

    Raises:
        DataError: there are none.
    """
    found = []
    for name, rows in (("training", split.train), ("validation", split.val)):
        windows = windows_between(flat, rows, lookback, config.horizon)
        if not len(windows):
            raise DataError(
                f"no {name} window of {_context(config, lookback)} + horizon {config.horizon} "
                "holds a known value in context and target: give more rows, a validation part of "
                "at least one horizon, or smaller sizes"
            )
        found.append(windows)
    return found[0], found[1]


def _early_windows(flat: FlatSeries, split: Split, config: ForecasterConfig) -> Windows:
    """Windows of the first part of the training rows; of all where that holds none."""
    first, stop = split.train
    part = first + np.ceil(EARLY * (stop - first)).astype(np.int64)
    early = windows_between(flat, RowRange(first, part), config.first_lookback, config.horizon)
    if len(early):
        return early
    return windows_between(flat, split.train, config.first_lookback, config.horizon)


def _with_input_size(
    panel: Panel, config: ForecasterConfig, sizes: Mapping[str, Any]
) -> ForecasterConfig:
    """The configuration with the input size, and the encoder, that do best on validation windows.

    Validation targets are the same for every size. Sizes that leave no windows are passed over, and
    beside the smallest those that leave too few of its windows or are `too_long` for the rows. What
    else the features tell is chosen afterwards, at the size that was found.

    Raises:
        DataError: not even the smallest size leaves windows.
    """
    found: dict[tuple[int, Reader], StepScores] = {}
    refused: DataError | None = None
    most = 0
    first = Reader(
        "linear" if config.encoder == "auto" else config.encoder,
        "window" if config.features == "auto" else config.features,
        first_start(config),
    )
    for size in input_sizes(config.horizon):
        try:
            named = replace(config, input_size=size, **first._asdict())
            named = replace(named, second="none", second_size=None)
            material = prepare(panel, named, **sizes)
        except DataError as error:
            refused = refused or error
            continue
        most = max(most, len(material.train))
        few = len(material.train) < LEAST_WINDOWS * most
        if found and (few or too_long(size, float(np.median(material.split.train.lengths)))):
            break  # sizes rise: what follows is no shorter
        tried = replace(config, input_size=size, batch_size=material.config.batch_size)
        scores = encoder_scores(material.trial_data, tried)
        found |= {(size, reader): score for reader, score in scores.items()}
    if not found and refused is not None:
        raise refused
    size, reader = best_of(found)
    if config.network != "trajectory":
        return replace(config, input_size=size)
    return replace(config, input_size=size, encoder=reader.encoder)


def _location(train: Windows) -> Location:
    """Mean or last value, by what foretells the training targets better."""
    some = evenly_spaced(len(train), LOCATION_WINDOWS)
    batch = train.gather(some.to(train.device))
    target = batch.target
    if batch.target_observed is not None:
        target = target.masked_fill(~batch.target_observed, torch.nan)
    return choose_location(batch.context, target)


def _context(config: ForecasterConfig, lookback: int) -> str:
    """What a context of so many rows consists of, for messages."""
    if lookback > config.first_lookback:
        return f"second_size {lookback}"
    earlier = lookback - config.context_size
    return f"input_size {config.context_size}" + (f" + lag {earlier}" if earlier else "")


def rows_in_span(panel: Panel, first: Ints, last: Ints) -> RowRange:
    """Rows of each series whose stamp lies between two of its own, both included.

    Args:
        panel: the series.
        first: earliest stamp of each series, [series] int64 as `panel.times` viewed.
        last: latest stamp.
    """
    times = panel.times.view(np.int64)
    start, stop = np.zeros(len(panel), dtype=np.int64), np.zeros(len(panel), dtype=np.int64)
    for begin, end in portions(panel.offsets):
        offsets = panel.offsets[begin : end + 1]
        part, low, high = slice(begin, end), offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
        stamps = times[offsets[0] : offsets[-1]]
        owner = np.repeat(np.arange(begin, end), np.diff(offsets))
        before = np.concatenate([[0], np.cumsum(stamps < first[owner])])
        within = np.concatenate([[0], np.cumsum(stamps <= last[owner])])
        start[part], stop[part] = before[high] - before[low], within[high] - within[low]
    return RowRange(start, np.maximum(stop, start))
