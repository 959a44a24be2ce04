"""Atoms, images and reconstructions as pictures inside the page."""

from collections.abc import Mapping
from typing import Any

from ..figures.mosaic import atlas, data_uri, grey

__all__ = ["atlas_picture", "example_pictures"]

_COLUMNS = 32


def atlas_picture(portrait: Mapping[str, Any], latents: int | None) -> dict[str, Any]:
    """The dictionary on one sheet, with its size in pixels and what a caption says of it."""
    atoms = portrait["atoms"]
    # Wide atoms, or few of them, in shorter rows: pixels stay large enough to be seen.
    sheet = atlas(atoms, columns=max(1, min(_COLUMNS, len(atoms), 640 // atoms.shape[2])))
    return {
        "uri": data_uri(sheet),
        "width": sheet.shape[1],
        "height": sheet.shape[0],
        "shown": len(atoms),
        "all": latents or len(atoms),
        "silent": int((portrait["atom_use"] == 0).sum()),
    }


def example_pictures(portrait: Mapping[str, Any]) -> list[list[dict[str, str]]]:
    """For each example the image, then its reconstructions; grey levels are the image's."""
    rows = []
    for number, (image, found) in enumerate(
        zip(portrait["images"], portrait["reconstructions"], strict=True), start=1
    ):
        low, high = float(image.min()), float(image.max())
        row = [{"uri": data_uri(grey(image, low, high)), "alt": f"test image {number}"}]
        row += [
            {"uri": data_uri(grey(picture, low, high)), "alt": f"image {number}, {step} steps"}
            for picture, step in zip(found, portrait["steps"].tolist(), strict=True)
        ]
        rows.append(row)
    return rows
