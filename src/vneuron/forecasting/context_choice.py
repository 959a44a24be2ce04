"""How far back a model looks, what reads the window and is told, where it starts: by trials.

Depth is worth .3 nats per step on Weather and .05 on ETTm1, and costs .03 on Exchange, a short
set that wanders and that it learns by heart (validation NLL; ETTh1 gains .01). Patches take another
4% off the squared error on Weather and 1% on ETTm1, and add 1% on ETTh1, where several scales take
3%. The best look-back is 60 weeks on ILI, half a year of days on Exchange, 336 hours on ETTh1, 720
quarters on ETTm1, and no neighbour's. Calendar, level, scale and series are worth .31 nats per step
on Weather; the series alone .14 on ILI, where the calendar costs; all of them cost on Exchange. No
rule on the size of the data told them apart, and a trial takes seconds. A start from ridge is worth
.3 nats per step on half-hourly electricity, nothing on ETTh1, and ruins a fit of 50 windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .config import ForecasterConfig
from .data.place import Surroundings
from .data.windows import evenly_spaced
from .drift import level_drift
from .evaluation import StepScores
from .networks.features import Encoder
from .networks.network import TrajectoryNetwork
from .networks.place_features import FeatureKind
from .second_choice import MOST_LOST, other_kind, short_size
from .shrinkage import departure_losses, least_within
from .start import StartKind
from .trial import Choice, Reader, TrialData, best_of, trained_trial, trial

TRIED: tuple[Encoder, ...] = ("linear", "mlp", "multiscale")
"""Encoders that are compared, the simplest first. Patches are left to those who name them: a step
costs twice as much, and they are quick to learn, so that a short trial prefers them where a longer
training does not (ETTh1)."""

JUDGED_WINDOWS, JUDGED_BATCH = 4096, 512

EARLY = 0.6
"""Share of the training rows that trials learn from. On ETTh1 a vector for each series is worth
.005 nats per step on the rows that follow, and nothing, with a squared error 3% higher, on those
that come a quarter of the training span later."""

MARGIN = 0.005
"""Relative gain in CRPS below which the simpler choice is taken: seeds differ by as much."""

LEAST_LOSS = 0.01
"""Nats per step that a choice may lose against the simplest one. CRPS hardly sees intervals that
are too narrow; the NLL does."""

MOST_DRIFT = 0.4
"""Share of validation windows at levels that their series never had on early training rows, beyond
which a model is not told the level. It extrapolates: on CO₂ at Mauna Loa, which only rises, 80%
intervals of a model that knows the level hold in 15 of 100 test windows, and in 74 without, though
validation rows, which come sooner, promise a gain. Early rows are as far from validation rows as
all training rows are from those that will be forecast: against all of them ILI's share is .25 to
.29, and a gain is promised that its later rows turn into a loss of 3 to 15% of the squared error.
The share is .42 to 1.0 on ILI, .46 to .67 on exchange rates, .27 to .35 on ETTh1, .24 on ETTh2, and
at most .15 on ETTm1, Weather, electricity and air."""

MOST_SERIES = 1000
"""More are not told apart unless asked for: few windows would tell of each."""

LEAST_WINDOWS = 0.5
"""A look-back has to leave this share of the training windows that the shortest one leaves. Fewer
lie next to the validation rows, all of them, and look better there than they carry. On ILI's 676
weeks one of 450, which leaves 30%, won the trials at 60 weeks (CRPS .194; 105 weeks .232) and had
36% more CRPS than 104 on the test rows, where this was seen; trained on 387 to 580 weeks such
look-backs have 1.4 to 2.6 times the best one's CRPS on the validation rows themselves."""

MOST_ROWS = 0.2
"""Of the training rows of a series, beyond which a look-back is too long. Few rows teach long
windows by heart: on exchange rates 1,792 and 1,260 of 5,311 rows were chosen at 336 and 720 days,
and 80% intervals held in .59 of the test windows, where this was seen, for .77 with 336 rows. On
earlier rows (27 choices on five sets and four files of a hundred rows) what is chosen has, on the
rows after its validation rows, a CRPS 3.5% above the best look-back's with this bound, 3.3 with
.175, 4.2 with .125 and 4.4 with none (`benchmarks/forecasting/look_backs.py`)."""

SHORT_ROWS = 24
"""Never too long: of 84 months a window of 21 tells more than one of 12 on AirPassengers."""


def input_sizes(horizon: int) -> tuple[int, ...]:
    """Candidates for the look-back: 1 to 7.5 horizons.

    Shorter ones look as good on few validation rows of ILI and are ruinous on later ones: with a
    half and a quarter of the horizon what is chosen has a CRPS 5.8 and 8.1% above the best one's
    where it has 4.5 without, though on exchange rates it is better (22 choices on earlier rows).

    Example:
        >>> input_sizes(96), input_sizes(24)
        ((96, 168, 336, 512, 720), (24, 42, 84, 128, 180))
    """
    return tuple(round(horizon * share) for share in (1, 7 / 4, 7 / 2, 16 / 3, 15 / 2))


def too_long(size: int, rows: float) -> bool:
    """Whether a look-back is too long for the training rows that there are of a series.

    Args:
        size: of the look-back.
        rows: of a series.

    Example:
        >>> [size for size in input_sizes(24) if not too_long(size, 676)]
        [24, 42, 84, 128]
    """
    return size > max(SHORT_ROWS, MOST_ROWS * rows)


def choose_reader(data: TrialData, config: ForecasterConfig) -> ForecasterConfig:
    """The configuration with what reads the window decided by trials, one thing after the other.

    Encoders are compared on all training windows, since depth is worth more the more there are.
    What features tell is compared on early ones: a model is used as far from what it learned as
    test rows are, and what it knows by heart of its series is worth less there than on the rows
    that follow at once. So is whether levels drift, and where the mean path starts: regression on a
    few windows learns them by heart. What a second reader is told goes by the first, and whether
    one of the last rows alone is worth hearing by a trial; training settles what it counts for.

    Always on the CPU and from the forecaster's seed, so that a resumed run and every process of a
    distributed one choose alike.

    Args:
        data: of the fit.
        config: of the forecaster; what is "auto" is open.
    """
    encoder, features, start = config.encoder, config.features, config.start
    drifts = "auto" in (features, config.second) and (
        level_drift(data.early, data.validation, data.location) > MOST_DRIFT
    )
    early = data._replace(train=data.early)
    scores: dict[Reader, StepScores] = {}
    if encoder == "auto":
        encoder = simplest(encoder_scores(data, config)).encoder
    if features == "auto":
        kinds = feature_kinds(data.surroundings, told_level=not drifts)
        started = first_start(config)
        scores = trials([Reader(encoder, kind, started) for kind in kinds], early, config)
        features = simplest(scores).features
    if start == "auto" and config.counts:
        start = "level"
    if start == "auto":
        level, ridge = Reader(encoder, features), Reader(encoder, features, "ridge")
        untried = [reader for reader in (level, ridge) if reader not in scores]
        scores |= trials(untried, early, config)
        start = simplest({reader: scores[reader] for reader in (level, ridge)}).start
    decided = replace(config, encoder=encoder, features=features, start=start)
    if config.second == "auto":
        decided = _with_second(decided, early, scores, drifts=drifts)
    return _with_departure(decided, early)


def _with_departure(decided: ForecasterConfig, early: TrialData) -> ForecasterConfig:
    """How much of their way from the level paths have to keep, decided by a trial.

    As little as loses no more than `LEAST_LOSS` where early windows were learned from: whether what
    was learned carries over is seen as far away from it as test rows are. On exchange rates nothing
    of it does (96 and 720 steps; half at 336), and later rows bear it out.

    Args:
        decided: with the first reader.
        early: what a trial learns from.
    """
    if decided.departure != "auto":
        return decided
    if decided.counts or early.location != "last":
        return replace(decided, departure=1.0)
    first = Reader(decided.encoder, decided.features, decided.start)  # type: ignore[arg-type]
    some = evenly_spaced(len(early.validation), JUDGED_WINDOWS)
    judged = early._replace(validation=early.validation.take(some))
    network, _ = trained_trial(first, judged, decided)
    if not isinstance(network, TrajectoryNetwork):
        return replace(decided, departure=1.0)
    losses = departure_losses(network, judged.validation.batches(JUDGED_BATCH))
    return replace(decided, departure=least_within(losses, LEAST_LOSS))


def _with_second(
    decided: ForecasterConfig,
    early: TrialData,
    scores: Mapping[Reader, StepScores],
    *,
    drifts: bool,
) -> ForecasterConfig:
    """The second reader that goes with the first, and how far it looks, decided.

    Args:
        decided: with the first reader; the second is as long as rows allow.
        early: what a trial learns from.
        scores: of trials on these that have been held.
        drifts: whether series leave their levels.
    """
    alone = replace(decided, second="none", second_size=None)
    if decided.counts:
        return alone
    first = Reader(decided.encoder, decided.features, decided.start)  # type: ignore[arg-type]
    longer = decided.second_context > decided.context_size
    kind = other_kind(first, told_level=not drifts, longer=longer)
    if kind != "none":
        return replace(decided, second=kind)
    rows = short_size(decided.context_size)
    if 2 * rows > decided.context_size:
        return alone
    scores = scores if first in scores else trials([first], early, decided)
    short = trials([first], early, replace(decided, input_size=rows))
    if not short[first].nll <= scores[first].nll + MOST_LOST:
        return alone
    return replace(decided, second="window", second_size=rows)


def encoder_scores(data: TrialData, config: ForecasterConfig) -> dict[Reader, StepScores]:
    """Scores of each encoder that is open; open features are those of the window alone.

    An open start is the window's level.
    """
    kind: FeatureKind = "window" if config.features == "auto" else config.features
    encoders = TRIED if config.encoder == "auto" else (config.encoder,)
    start = first_start(config)
    return trials([Reader(encoder, kind, start) for encoder in encoders], data, config)


def first_start(config: ForecasterConfig) -> StartKind:
    """Where trials of other choices start, and fits without trials: the level, if it is open."""
    return "level" if config.start == "auto" else config.start


def trials(
    readers: Sequence[Reader], data: TrialData, config: ForecasterConfig
) -> dict[Reader, StepScores]:
    """Validation scores of each reader in a short trial without units.

    Args:
        readers: the simplest first.
        data: learned from in 256 steps, judged on at most 4,096 windows, evenly spaced.
        config: of the forecaster.
    """
    some = evenly_spaced(len(data.validation), JUDGED_WINDOWS)
    judged = data._replace(validation=data.validation.take(some))
    return {reader: trial(reader, judged, config) for reader in readers}


def feature_kinds(
    surroundings: Surroundings, *, told_level: bool = True
) -> tuple[FeatureKind, ...]:
    """Which features a trial compares: series are told apart where there are some, and not many.

    Args:
        surroundings: of the fit.
        told_level: whether features that tell a window's level are among them.

    Example:
        >>> feature_kinds(Surroundings(1)), feature_kinds(Surroundings(7), told_level=False)
        (('window', 'place'), ('window', 'series'))
    """
    told_series = 1 < surroundings.series <= MOST_SERIES
    shown: dict[FeatureKind, bool] = {
        "window": True,
        "series": told_series,
        "place": told_level,
        "full": told_series and told_level,
    }
    return tuple(kind for kind, is_shown in shown.items() if is_shown)


def simplest(scores: Mapping[Choice, StepScores]) -> Choice:
    """The first choice within `MARGIN` of the lowest CRPS, of those that lose no NLL.

    Args:
        scores: by choice, the simplest first; none may lose more than `LEAST_LOSS` against it.

    Example:
        >>> simplest({"linear": StepScores(1.004, 2.0), "mlp": StepScores(1.0, 1.9)})
        'linear'
        >>> simplest({"linear": StepScores(1.1, 2.0), "mlp": StepScores(1.0, 1.9)})
        'mlp'
        >>> simplest({"linear": StepScores(1.1, 2.0), "mlp": StepScores(1.0, 2.2)})
        'linear'
    """
    first = next(iter(scores.values()))
    kept = {
        choice: score
        for choice, score in scores.items()
        # a first one that failed (NaN) sets no bar
        if score is first or not score.nll > first.nll + LEAST_LOSS
    }
    best = best_of(kept)
    within = (name for name, s in kept.items() if s.crps <= kept[best].crps * (1.0 + MARGIN))
    return next(within, best)
