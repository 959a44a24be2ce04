"""What a worker process runs: `python -m vneuron.autopilot.process FOLDER NUMBER`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .crew import ORDERS

__all__ = ["main"]


def main(folder: Path, number: int) -> int:
    """Work on the study of a folder until it is done, or whoever started this is gone."""
    import torch

    from ..training.launch import hush
    from .panel_file import read_panel
    from .space_files import space_of
    from .storage import patiently
    from .study import open_study
    from .workbench import Workbench
    from .worker import Worker

    torch.set_num_threads(1)
    hush()
    orders = json.loads((folder / ORDERS).read_bytes())
    study, plan = patiently(
        lambda: open_study(orders["storage"], orders["study"], None, worker=number)
    )
    space = space_of(plan, orders["space"])
    panel = read_panel(folder)
    bench = Workbench(panel, plan.sizes, plan.folds, plan.windows)
    Worker(
        study,
        plan,
        space,
        bench,
        deadline=lambda: 0.0 if os.getppid() != orders["parent"] else None,
        trials=orders["trials"],
    ).run()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
    except KeyboardInterrupt:
        sys.exit(0)
