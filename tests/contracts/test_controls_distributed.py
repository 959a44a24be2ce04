"""Two processes with every control on shards do what one process does on the whole batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

WORKER = Path(__file__).with_name("control_worker.py")


def test_two_processes_control_alike(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    outputs = []
    try:
        outputs = [worker.communicate(timeout=180)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(outputs)
    ranks = [load_file(tmp_path / f"rank{rank}.safetensors") for rank in (0, 1)]
    names = [name.removeprefix("single.") for name in ranks[0] if name.startswith("single.")]
    assert len(names) > 40
    for found in ranks:
        for name in names:
            torch.testing.assert_close(
                found[f"shared.{name}"],
                found[f"single.{name}"],
                rtol=1e-4,
                atol=1e-6,
                msg=lambda m, n=name: f"{n}: {m}",
            )
    # The controls did move something, or agreement would mean nothing.
    assert (ranks[0]["single.collected.model.units.beta"] != 0.3).all()
    assert (ranks[0]["single.collected.model.units.scale_gain"] != 1.0).any()
