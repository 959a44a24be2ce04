"""One vital of every unit over the epochs."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .style import blank_figure, label, sequential_scale

__all__ = ["unit_heat_map"]


def unit_heat_map(vitals: pd.DataFrame, column: str, *, title: str = "") -> go.Figure:
    """Units by epochs, the unit with the most at the end on top.

    Epochs at which the vital was not measured at all are left out.

    Args:
        vitals: rows of one layer, with `unit`, `epoch` and `column` (NaN where not measured).
        column: which vital.
        title: of the colour bar; the column's name if empty.

    Raises:
        ValueError: a column is absent.

    Example:
        >>> vitals = pd.DataFrame({"epoch": [1, 1, 2, 2], "unit": [0, 1, 0, 1],
        ...                        "kl": [0.3, 0.1, 0.1, 0.2]})
        >>> unit_heat_map(vitals, "kl").data[0].z.tolist()  # unit 1 is on top, so it comes last
        [[0.3..., 0.1...], [0.1..., 0.2...]]
    """
    missing = [name for name in ("unit", "epoch", column) if name not in vitals]
    if missing:
        raise ValueError(
            f"the vitals have no column {missing[0]!r} (they have {list(vitals.columns)}); pass "
            "the frame of vitals.parquet"
        )
    grid = vitals.pivot_table(index="unit", columns="epoch", values=column, dropna=False)
    grid = grid.dropna(axis=1, how="all")
    last = grid.ffill(axis=1).iloc[:, -1].fillna(-np.inf)
    grid = grid.loc[last.sort_values(kind="stable").index]
    units = [label(unit) for unit in grid.index]
    figure = blank_figure(
        x="epoch", y="unit", height=min(560, 190 + 7 * len(grid)), unified_hover=False
    )
    figure.add_heatmap(
        z=grid.to_numpy(dtype=np.float32),
        x=grid.columns.to_numpy(),
        y=list(range(len(units))),
        customdata=np.repeat(np.array(units, dtype=object)[:, None], grid.shape[1], axis=1),
        colorscale=sequential_scale,
        zmin=0,
        hovertemplate="unit %{customdata}, epoch %{x}: %{z:.4~g}<extra></extra>",
        colorbar={
            "title": {"text": title or label(column), "font": {"size": 12}},
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
