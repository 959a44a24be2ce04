"""The space of configurations: options, what each may be, and when it matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..controls import SETTINGS
from ..forecasting.config import ForecasterConfig
from .domains import Domain, read_domain

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = ["AbstractSpace", "Dimension", "FunctionSpace", "Space", "configuration", "flat_values"]

CONTROL = "control_options."
"""Prefix of the settings of a trial's controls."""

FIXED = (
    "horizon",
    "freq",
    "missing",
    "duplicates",
    "exogenous",
    "seed",
    "device",
    "devices",
    "precision",
    "compile",
    "control_options",
)
"""Options that say what is asked, or where it is computed: trials that differ there do not compare.
"""


class AbstractSpace(Protocol):
    """Where trials get their options from; define-by-run: a call per trial."""

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """Options by name, for `configuration`."""

    def check(self, base: ForecasterConfig) -> None:
        """Refuse what no configuration accepts.

        Raises:
            ValueError: the option and what is wrong with it.
        """


@dataclass(frozen=True)
class Dimension:
    """One option.

    Attributes:
        name: of `EVEForecaster`'s argument, or "control_options." and a setting of its controls.
        domain: what it may be.
        when: values of options before it for which it is drawn at all; {} is always.
    """

    name: str
    domain: Domain
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def holds(self, chosen: Mapping[str, Any], base: ForecasterConfig) -> bool:
        """Whether it is drawn, given what has been."""
        return all(
            (chosen[name] if name in chosen else getattr(base, name, None)) in values
            for name, values in self.when.items()
        )


@dataclass(frozen=True)
class Space:
    """Options in the order in which they are drawn.

    Attributes:
        dimensions: each option.
        base: what options that are not drawn are.

    Example:
        >>> space = Space.of({"units": [8, 16], "control_options.target": {
        ...     "low": 0.03, "high": 0.08, "when": {"control": ["free"]}}})
        >>> space.check(ForecasterConfig(horizon=4, input_size=8, control="free"))
        >>> [dimension.name for dimension in space.dimensions]
        ['units', 'control_options.target']
    """

    dimensions: tuple[Dimension, ...]
    base: ForecasterConfig | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Space:
        """A space as its file states it: option: domain, with `when` beside low and high.

        Raises:
            ValueError: an entry is no domain; the message names it.
        """
        found = []
        for name, entry in raw.items():
            when = entry.get("when") or {} if isinstance(entry, Mapping) else {}
            if not isinstance(when, Mapping):
                raise ValueError(f"space: {name}: when is {when!r}, expected option: values.")
            listed = {
                option: tuple(values) if isinstance(values, list | tuple) else (values,)
                for option, values in when.items()
            }
            found.append(Dimension(str(name), read_domain(str(name), entry), listed))
        return cls(tuple(found))

    def as_dict(self) -> dict[str, Any]:
        """What `of` reads."""
        return {
            d.name: d.domain.as_dict() | ({"when": {k: list(v) for k, v in d.when.items()}})
            if d.when
            else d.domain.as_dict()
            for d in self.dimensions
        }

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """The options of a trial."""
        chosen: dict[str, Any] = {}
        base = self.base
        for dimension in self.dimensions:
            if base is None or dimension.holds(chosen, base):
                chosen[dimension.name] = dimension.domain.suggest(trial, dimension.name)
        return chosen

    def bound(self, base: ForecasterConfig) -> Space:
        """With the options that are not drawn."""
        return replace(self, base=base)

    def without(self, names: set[str]) -> Space:
        """Without some options, which then are what the base says."""
        kept = tuple(d for d in self.dimensions if d.name not in names)
        return replace(self, dimensions=kept)

    def default(self, base: ForecasterConfig) -> dict[str, Any] | None:
        """The base's own place in the space; None where it lies outside."""
        chosen: dict[str, Any] = {}
        for dimension in self.dimensions:
            if not dimension.holds(chosen, base):
                continue
            value = flat_values(base).get(dimension.name, _papers_setting(dimension.name))
            if not dimension.domain.contains(value):
                return None
            chosen[dimension.name] = value
        return chosen

    def check(self, base: ForecasterConfig) -> None:
        """Every value through the forecaster's own validation.

        Raises:
            ValueError: an option is unknown, fixed, or refuses a value; the message names it.
        """
        if not self.dimensions:
            raise ValueError("the space has no option, expected at least one, such as units.")
        seen: set[str] = set()
        for dimension in self.dimensions:
            _check_name(dimension.name)
            if dimension.name in seen:
                raise ValueError(f"space: {dimension.name} stands there twice, expected once.")
            for option in dimension.when:
                if option not in ForecasterConfig.__dataclass_fields__:
                    raise ValueError(
                        f"space: {dimension.name}: when names {option!r}, which is no option."
                    )
            seen.add(dimension.name)
            at = base if not dimension.when else _where(dimension, base)
            for value in dimension.domain.probes:
                try:
                    configuration(at, {dimension.name: value})
                except (ValueError, TypeError) as error:
                    raise ValueError(f"space: {dimension.name}: {error}") from None


@dataclass(frozen=True)
class FunctionSpace:
    """A space that is a function of Optuna's trial, for whatever a list cannot say.

    Attributes:
        function: takes the trial, calls its `suggest_*`, gives options by name.
    """

    function: Any

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """What the function gives.

        Raises:
            ValueError: it gives no mapping, or an option that there is not.
        """
        found = self.function(trial)
        if not isinstance(found, Mapping):
            raise ValueError(
                f"the space's function gave {type(found).__name__}, expected a dict of options."
            )
        for name in found:
            _check_name(str(name))
        return dict(found)

    def check(self, base: ForecasterConfig) -> None:
        """One draw, and what it gives through the forecaster's own validation."""
        from .backend import hushed, optuna

        with hushed():
            study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
            configuration(base, self.suggest(study.ask()))


def configuration(base: ForecasterConfig, values: Mapping[str, Any]) -> ForecasterConfig:
    """The base with other values.

    Args:
        base: options that stay.
        values: by name; "control_options.NAME" is a setting of the controls. Settings that the
            trial's control does not have are dropped, and so are the base's under another control.

    Raises:
        ValueError: the whole is not valid.

    Example:
        >>> base = ForecasterConfig(horizon=4, input_size=8)
        >>> found = configuration(base, {"control": "free", "control_options.target": 0.03})
        >>> found.control, found.control_options
        ('free', {'target': 0.03})
    """
    plain = {name: value for name, value in values.items() if not name.startswith(CONTROL)}
    own = {
        name.removeprefix(CONTROL): value
        for name, value in values.items()
        if name.startswith(CONTROL)
    }
    control = plain.get("control", base.control)
    kept = dict(base.control_options or {}) if control == base.control else {}
    return replace(base, **plain, control_options=(kept | own) or None)


def flat_values(config: ForecasterConfig) -> dict[str, Any]:
    """A configuration's options by the names that spaces use."""
    found = config.as_dict()
    settings = found.pop("control_options") or {}
    return found | {CONTROL + name: value for name, value in settings.items()}


def _papers_setting(name: str) -> float | None:
    """What a control's setting is where nothing is said; only those of the default control."""
    return {f"{CONTROL}worth": 0.2, f"{CONTROL}beta_max": 2.0}.get(name)


def _where(dimension: Dimension, base: ForecasterConfig) -> ForecasterConfig:
    """The base, moved to where the option is drawn."""
    try:
        return replace(
            base,
            control_options=None,
            **{name: values[0] for name, values in dimension.when.items()},
        )
    except ValueError as error:
        raise ValueError(f"space: {dimension.name}: when: {error}") from None


def _check_name(name: str) -> None:
    if name.startswith(CONTROL):
        known = sorted({setting for settings in SETTINGS.values() for setting in settings})
        if name.removeprefix(CONTROL) not in known:
            raise ValueError(f"space: {name}: no control has this setting, expected of {known}.")
        return
    if name in FIXED:
        raise ValueError(
            f"space: {name} cannot be searched: trials that differ there do not compare; give it "
            "as an option of the search."
        )
    if name not in ForecasterConfig.__dataclass_fields__:
        known = sorted(set(ForecasterConfig.__dataclass_fields__) - set(FIXED))
        raise ValueError(f"space: {name} is no option, expected of {known}.")
