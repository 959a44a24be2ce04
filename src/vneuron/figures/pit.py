"""The histogram of the probability integral transform."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from .style import blank_figure, model_colors, muted, translucent

__all__ = ["pit_histogram"]


def pit_histogram(shares: Sequence[float], model: str = "EVE") -> go.Figure:
    """Where observations fell in their forecast distributions; flat is ideal.

    U-shaped means too narrow, a hump too wide, a slope biased.

    Args:
        shares: the share of observations in each of equally wide bins of [0, 1].
        model: whose colour to use.

    Raises:
        ValueError: there is no bin.

    Example:
        >>> len(pit_histogram([0.25, 0.25, 0.3, 0.2]).data[0].x)
        4
    """
    bins = len(shares)
    if bins == 0:
        raise ValueError("the histogram has 0 bins; expected one share per bin: pass at least one")
    color = model_colors([model])[model]
    figure = blank_figure(x="probability integral transform", y="share", height=340)
    figure.add_bar(
        x=(np.arange(bins) + 0.5) / bins,
        y=list(shares),
        width=0.92 / bins,
        marker={"color": translucent(color, 0.75)},
        hovertemplate="%{y:.1%}<extra></extra>",
    )
    figure.add_hline(y=1 / bins, line={"color": muted, "width": 1, "dash": "dot"})
    figure.update_layout(showlegend=False, hovermode="closest")
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure
