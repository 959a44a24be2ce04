"""Reliability: how often intervals of each level held."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from .style import blank_figure, label, model_colors, muted

__all__ = ["reliability_curve"]


def reliability_curve(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float | None]]],
    *,
    what: str = "steps covered",
) -> go.Figure:
    """Observed coverage against nominal level, one line per model; the diagonal is ideal.

    Above the diagonal intervals are too wide, below too narrow.

    Args:
        curves: for each model its levels and coverages, shares in [0, 1]; None where undefined.
        what: what is covered, for the vertical axis.

    Example:
        >>> figure = reliability_curve({"EVE": ([0.5, 0.8], [0.52, 0.79])})
        >>> [trace.name for trace in figure.data]
        ['ideal', 'EVE']
    """
    figure = blank_figure(x="nominal level", y=what, height=340)
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="ideal",
        line={"color": muted, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    colors = model_colors(curves)
    for name, (levels, coverage) in curves.items():
        figure.add_scatter(
            x=list(levels),
            y=list(coverage),
            mode="lines+markers",
            name=label(name),
            line={"color": colors[name], "width": 2.6 if name == "EVE" else 1.4},
            marker={"size": 6 if name == "EVE" else 4},
            hovertemplate="%{y:.1%}",
        )
    figure.update_xaxes(range=[0, 1], tickformat=".0%", hoverformat=".0%")
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return figure
