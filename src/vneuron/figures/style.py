"""What all figures share: colours that hold on light and on dark ground, and a quiet layout."""

from collections.abc import Iterable
from html import escape

import plotly.graph_objects as go

__all__ = ["blank_figure", "label", "model_colors", "sequential_scale", "translucent"]

ink = "#1f2933"
muted = "#7b8794"
_grid = "rgba(123, 135, 148, 0.22)"
_font = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"

# Middle tones, told apart under the common colour deficiencies; the subject first.
_fixed = {
    "EVE": "#3a6fd8",
    "twin": "#d9822b",
    "lowrank": "#8b62c8",
    "linear": "#2f9e82",
    "residual": "#c2517f",
    "seasonal_naive": "#a2792f",
    "repeat_last": "#7b8794",
}
_others = ("#5ba4cf", "#b0a136", "#d0605e", "#6a9f58", "#967662")

sequential_scale = [
    [0.0, "rgba(58, 111, 216, 0.04)"],
    [0.35, "#8fb3ea"],
    [0.7, "#3a6fd8"],
    [1.0, "#1b2f6b"],
]


def model_colors(names: Iterable[str]) -> dict[str, str]:
    """A colour for each model: always the same for the known ones.

    Example:
        >>> model_colors(["EVE", "mine"])
        {'EVE': '#3a6fd8', 'mine': '#5ba4cf'}
    """
    colors: dict[str, str] = {}
    spare = 0
    for name in names:
        if name in _fixed:
            colors[name] = _fixed[name]
        else:
            colors[name] = _others[spare % len(_others)]
            spare += 1
    return colors


def translucent(color: str, opacity: float) -> str:
    """A colour "#rrggbb" as a CSS colour with opacity.

    Example:
        >>> translucent("#3a6fd8", 0.2)
        'rgba(58, 111, 216, 0.2)'
    """
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def label(text: object) -> str:
    """Text for a figure: plotly reads a little HTML in labels, which names must not use."""
    return escape(str(text))


def blank_figure(
    *, x: str = "", y: str = "", height: int = 320, unified_hover: bool = True
) -> go.Figure:
    """An empty figure in the common style.

    Args:
        x: title of the horizontal axis.
        y: title of the vertical axis.
        height: in pixels; the width follows the page.
        unified_hover: one hover box for all lines at a point.
    """
    axis = {
        "gridcolor": _grid,
        "zeroline": False,
        "linecolor": _grid,
        "ticks": "",
        "automargin": True,
    }
    return go.Figure(
        layout={
            "template": {},
            "height": height,
            "margin": {"l": 48, "r": 12, "t": 16, "b": 40},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": _font, "size": 13, "color": ink},
            "hovermode": "x unified" if unified_hover else "closest",
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
            "xaxis": {**axis, "title": {"text": x, "standoff": 8, "font": {"size": 12}}},
            "yaxis": {**axis, "title": {"text": y, "standoff": 8, "font": {"size": 12}}},
        }
    )
