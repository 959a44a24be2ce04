"""How many units and how much dropout a network has where none are given."""

from __future__ import annotations

from typing import NamedTuple


class NetworkDefaults(NamedTuple):
    """What a network takes for options that are not given."""

    units: int
    dropout: float

    def where_none(self, units: int | None, dropout: float | None) -> NetworkDefaults:
        """These, but for what is given."""
        return NetworkDefaults(
            self.units if units is None else units, self.dropout if dropout is None else dropout
        )


def network_defaults(network: str) -> NetworkDefaults:
    """A network's own defaults; those of `trajectory` for a name that is none.

    Example:
        >>> network_defaults("reference")
        NetworkDefaults(units=1024, dropout=0.05)
    """
    if network == "reference":
        return NetworkDefaults(units=1024, dropout=0.05)
    return NetworkDefaults(units=32, dropout=0.3)
