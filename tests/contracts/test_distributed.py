"""Two processes under DistributedDataParallel do what one process does on the whole batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

WORKER = Path(__file__).with_name("distributed_worker.py")
VARIANTS = [
    f"unused={unused},checkpoint={checkpoint}"
    for unused in (False, True)
    for checkpoint in (False, True)
]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    """What each process found, for the single run and for every variant."""
    folder = tmp_path_factory.mktemp("distributed")
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), str(folder)],
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
    return [load_file(folder / f"rank{rank}.safetensors") for rank in (0, 1)]


def part(results: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in results.items() if k.startswith(prefix)}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["grad.", "buffer.", "info."])
def test_two_processes_agree_with_one(
    ranks: list[dict[str, Tensor]], variant: str, kind: str
) -> None:
    """Gradients; and, after a control step, every statistic and what was reported."""
    for results in ranks:
        expected = part(results, f"single.{kind}")
        found = part(results, f"{variant}.{kind}")
        assert found.keys() == expected.keys()
        assert expected
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, msg=lambda m, n=name: f"{n}: {m}")


def test_the_shards_differ_so_that_agreement_means_something(
    ranks: list[dict[str, Tensor]],
) -> None:
    energy = part(ranks[0], "single.buffer.")["model.first.statistics.energy"]
    assert (energy > 0).all()
