"""Rate against distortion: fidelity bought with activity or with bits."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from .style import blank_figure, label

__all__ = ["trade_off_curve"]


def trade_off_curve(
    points: Sequence[Mapping[str, Any]], *, rate: str, rate_title: str, parameter: str, own: float
) -> go.Figure:
    """R² over the rate, one point for each price at which codes were inferred.

    Args:
        points: with `price`, `r2_pooled` and the rate.
        rate: the key of the rate.
        rate_title: of the horizontal axis.
        parameter: the price's name.
        own: the price in training, whose point is larger.

    Example:
        >>> points = [{"price": 1.0, "r2_pooled": 0.5, "bits_per_pixel": 0.2}]
        >>> trade_off_curve(points, rate="bits_per_pixel", rate_title="bits", parameter="beta",
        ...                 own=1.0).data[0].x
        (0.2,)
    """
    figure = blank_figure(x=rate_title, y="R² of sampled codes", height=320, unified_hover=False)
    ordered = sorted(points, key=lambda point: point[rate])
    near = [abs(point["price"] - own) <= 1e-9 * own for point in ordered]
    figure.add_scatter(
        x=[point[rate] for point in ordered],
        y=[point["r2_pooled"] for point in ordered],
        customdata=[point["price"] for point in ordered],
        mode="lines+markers",
        line={"color": "#3a6fd8", "width": 2},
        marker={"size": [12 if here else 7 for here in near], "color": "#3a6fd8"},
        hovertemplate=f"{label(parameter)} %{{customdata:.3~g}}: %{{x:.4~g}}, R² %{{y:.4~g}}"
        "<extra></extra>",
        showlegend=False,
    )
    return figure
