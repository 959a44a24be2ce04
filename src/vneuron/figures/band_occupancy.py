"""How many of a layer's units lie below, inside and above their energy band, over the epochs."""

import pandas as pd
import plotly.graph_objects as go

from .style import blank_figure

__all__ = ["band_occupancy"]

_COLORS = {"below": "#3a6fd8", "inside": "#2f9e82", "above": "#c2517f"}
_BANDS = (
    ("", "band_low", "band_high", "solid"),
    (", original band", "original_band_low", "original_band_high", "dot"),
)


def band_occupancy(vitals: pd.DataFrame) -> go.Figure:
    """Shares of units by epoch: full lines against the band as it is, dotted as it was set.

    Where calibration moves the band after the units the two part, and "inside" then says less.

    Args:
        vitals: rows of one layer that has a band: `epoch`, `energy`, and the bounds.

    Raises:
        ValueError: a column is absent.

    Example:
        >>> bounds = {"band_low": 1.0, "band_high": 2.0}
        >>> bounds |= {f"original_{name}": value for name, value in bounds.items()}
        >>> vitals = pd.DataFrame({"epoch": [1, 1], "energy": [0.5, 1.5], **bounds})
        >>> {trace.name: trace.y.tolist() for trace in band_occupancy(vitals).data[:2]}
        {'below': [0.5], 'inside': [0.5]}
    """
    needed = ["epoch", "energy", *(name for _, low, high, _ in _BANDS for name in (low, high))]
    missing = [name for name in needed if name not in vitals]
    if missing:
        raise ValueError(
            f"the vitals have no column {missing[0]!r} (they have {list(vitals.columns)}); pass "
            "the frame of vitals.parquet of a layer with an EnergyBand"
        )
    figure = blank_figure(x="epoch", y="share of units", height=300)
    for suffix, low, high, dash in _BANDS:
        below, above = vitals["energy"] < vitals[low], vitals["energy"] > vitals[high]
        places = {"below": below, "inside": ~(below | above), "above": above}
        for place, inside in places.items():
            share = inside.groupby(vitals["epoch"]).mean()
            figure.add_scatter(
                x=share.index.to_numpy(),
                y=share.to_numpy(dtype=float),
                mode="lines+markers" if len(share) < 3 else "lines",
                name=place + suffix,
                legendgroup=place,
                showlegend=not suffix,
                line={"color": _COLORS[place], "width": 2, "dash": dash},
                hovertemplate="%{y:.0%}",
            )
    figure.update_xaxes(tickformat="d")
    figure.update_yaxes(range=[-0.02, 1.05], tickformat=".0%")
    return figure
