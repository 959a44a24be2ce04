"""Activity of latents, step by step."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from .style import blank_figure, sequential_scale

__all__ = ["raster"]


def raster(activity: Any, rows: Any, *, title: str) -> go.Figure:
    """Latents by steps; the busiest on top.

    Args:
        activity: [steps, latents] of one image, the busiest latent first: spike counts, or values.
        rows: numbers of the latents.
        title: of the colour bar, such as "spikes".

    Example:
        >>> raster([[0, 2], [1, 0]], [7, 3], title="spikes").data[0].z.tolist()
        [[2.0, 0.0], [0.0, 1.0]]
    """
    values = np.asarray(activity, dtype=np.float32)
    names = [str(row) for row in np.asarray(rows).tolist()]
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    signed = bool((values < 0).any())
    figure = blank_figure(
        x="step of inference", y="latent", height=180 + 7 * len(names), unified_hover=False
    )
    figure.add_heatmap(
        z=values.T[::-1],
        x=np.arange(1, len(values) + 1),
        y=list(range(len(names))),
        customdata=np.repeat(np.array(names[::-1], dtype=object)[:, None], len(values), axis=1),
        colorscale="RdBu" if signed else sequential_scale,
        zmin=-largest if signed else 0,
        zmax=largest,
        meta={"role": "signed" if signed else "counts"},
        hovertemplate="latent %{customdata}, step %{x}: %{z:.4~g}<extra></extra>",
        colorbar={"title": {"text": title, "font": {"size": 12}}, "thickness": 10},
    )
    every = max(1, -(-len(names) // 24))
    figure.update_yaxes(
        tickvals=list(range(0, len(names), every)), ticktext=names[::-1][::every], showgrid=False
    )
    figure.update_xaxes(tickformat="d", showgrid=False)
    return figure
