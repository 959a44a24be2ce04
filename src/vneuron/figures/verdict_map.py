"""Every unit's verdict over the epochs."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .style import blank_figure, label

__all__ = ["verdict_colors", "verdict_map"]

verdict_colors = {
    "living": "#2f9e82",
    "static": "#8fa3b8",
    "unknown": "#c9d0d6",
    "ignored": "#d9a441",
    "constant": "#b0722c",
    "dead": "#4a525c",
    "frozen in time": "#8b62c8",
    "saturated": "#c2517f",
    "noiseless": "#e08a70",
    "exploding": "#c0392b",
}
"""From well to ill, in middle tones that hold on light and on dark ground."""


def verdict_map(vitals: pd.DataFrame) -> go.Figure:
    """Units by epochs, coloured by verdict; units that end well are on top.

    Args:
        vitals: rows of one layer, with `unit`, `epoch` and `verdict`.

    Raises:
        ValueError: a column is absent.

    Example:
        >>> vitals = pd.DataFrame({"epoch": [1, 1, 2, 2], "unit": [0, 1, 0, 1],
        ...                        "verdict": ["unknown", "unknown", "living", "dead"]})
        >>> verdict_map(vitals).data[0].z.tolist()  # unit 0 lives and is on top, so it comes last
        [[1, 2], [1, 0]]
    """
    missing = [name for name in ("unit", "epoch", "verdict") if name not in vitals]
    if missing:
        raise ValueError(
            f"the vitals have no column {missing[0]!r} (they have {list(vitals.columns)}); pass "
            "the frame of vitals.parquet"
        )
    found = set(vitals["verdict"])
    names = [*verdict_colors, *sorted(found - verdict_colors.keys())]
    names = [name for name in names if name in found]
    place = {name: i for i, name in enumerate(names)}
    coded = vitals.assign(code=vitals["verdict"].map(place))
    grid = coded.pivot_table(index="unit", columns="epoch", values="code", dropna=False)
    last = grid.ffill(axis=1).iloc[:, -1]
    grid = grid.loc[last.sort_values(ascending=False, kind="stable").index].astype(int)
    units = [label(unit) for unit in grid.index]
    words = np.array([label(name) for name in names], dtype=object)
    figure = blank_figure(
        x="epoch", y="unit", height=min(560, 190 + 7 * len(grid)), unified_hover=False
    )
    figure.add_heatmap(
        z=grid.to_numpy(),
        x=grid.columns.to_numpy(),
        y=list(range(len(units))),
        text=words[grid.to_numpy()],
        customdata=np.repeat(np.array(units, dtype=object)[:, None], grid.shape[1], axis=1),
        colorscale=_steps([verdict_colors.get(name, "#967662") for name in names]),
        zmin=-0.5,
        zmax=len(names) - 0.5,
        hovertemplate="unit %{customdata}, epoch %{x}: %{text}<extra></extra>",
        meta={"role": "verdicts"},
        colorbar={
            "tickvals": list(range(len(names))),
            "ticktext": words.tolist(),
            "thickness": 10,
            "outlinewidth": 0,
        },
    )
    every = max(1, -(-len(units) // 24))
    figure.update_yaxes(
        tickvals=list(range(0, len(units), every)), ticktext=units[::every], showgrid=False
    )
    figure.update_xaxes(tickformat="d", showgrid=False)
    return figure


def _steps(colors: list[str]) -> list[list[object]]:
    """A colour scale of equal steps, without blending between them."""
    count = len(colors)
    return [[(i + end) / count, color] for i, color in enumerate(colors) for end in (0, 1)]
