"""A number of the event log over the epochs, model by model."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from .style import blank_figure, label, model_colors

__all__ = ["training_curves"]


def training_curves(
    curves: Mapping[str, tuple[Sequence[int], Sequence[float | None]]],
    *,
    title: str,
    mark_lowest: bool = False,
) -> go.Figure:
    """One line per model.

    Args:
        curves: for each model its epochs and values; None where undefined.
        title: of the vertical axis, with the unit.
        mark_lowest: put a dot on each line's lowest point.

    Example:
        >>> figure = training_curves({"EVE": ([1, 2], [0.5, 0.4])}, title="loss", mark_lowest=True)
        >>> figure.data[1].x
        (2,)
    """
    figure = blank_figure(x="epoch", y=title, height=300)
    colors = model_colors(curves)
    for name, (epochs, values) in curves.items():
        figure.add_scatter(
            x=list(epochs),
            y=list(values),
            mode="lines+markers" if len(epochs) < 3 else "lines",
            name=label(name),
            line={"color": colors[name], "width": 2.4 if name == "EVE" else 1.5},
            hovertemplate="%{y:.4~g}",
        )
        known = [
            (value, epoch) for value, epoch in zip(values, epochs, strict=True) if value is not None
        ]
        if mark_lowest and known:
            value, epoch = min(known)
            figure.add_scatter(
                x=[epoch],
                y=[value],
                mode="markers",
                marker={"color": colors[name], "size": 9},
                showlegend=False,
                hoverinfo="skip",
            )
    figure.update_xaxes(tickformat="d")
    return figure
