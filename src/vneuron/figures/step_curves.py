"""Scores of codes against steps of inference."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from .style import blank_figure, label

__all__ = ["step_curves"]

_COLORS = ("#3a6fd8", "#d9822b", "#2f9e82", "#8b62c8")


def step_curves(
    steps: Sequence[int],
    curves: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    own: int | None = None,
) -> go.Figure:
    """One line per score, over a logarithmic axis of steps.

    Args:
        steps: rising, each at least 1.
        curves: values at these steps by name; None where undefined.
        title: of the vertical axis.
        own: the model's own number of steps, marked by a dotted line; None marks none.

    Example:
        >>> step_curves([1, 2, 4], {"R²": [0.1, 0.5, 0.6]}, title="R²").data[0].y
        (0.1, 0.5, 0.6)
    """
    figure = blank_figure(x="steps of inference", y=title, height=320)
    for color, (name, values) in zip(_COLORS, curves.items(), strict=False):
        figure.add_scatter(
            x=list(steps),
            y=list(values),
            mode="lines+markers",
            name=label(name),
            line={"color": color, "width": 2},
            marker={"size": 6},
            hovertemplate="%{y:.4~g}",
        )
    figure.update_xaxes(type="log", tickvals=list(steps), ticktext=[str(s) for s in steps])
    if own is not None:
        figure.add_vline(x=own, line={"width": 1, "dash": "dot", "color": "#7b8794"})
    figure.update_layout(showlegend=len(curves) > 1)
    return figure
