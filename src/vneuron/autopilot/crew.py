"""Worker processes of this host: started, watched, replaced when they die, and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..training.atomic import write_atomic

__all__ = ["ORDERS", "Crew"]

ORDERS = "search.json"
MOST_DEATHS = 5
STOP_SECONDS = 60.0


class Crew:
    """Processes that work on one study.

    They run in sessions of their own, so that Ctrl-C reaches this process alone, which then asks
    them to stop; and they stop by themselves when this process is gone.

    Args:
        folder: of the study; it holds the panel, the orders, and what workers print.
        count: how many.
        orders: what they need beside the study: storage, name, space.
    """

    def __init__(self, folder: Path, count: int, orders: Mapping[str, Any]) -> None:
        self.folder = folder
        self.deaths = 0
        self._numbers = iter(range(1, 1_000_000))
        self._members: list[subprocess.Popen[bytes]] = []
        self._count = count
        text = json.dumps(dict(orders) | {"parent": os.getpid()}, indent=1)
        write_atomic(folder / ORDERS, text.encode())

    def start(self) -> None:
        """Start as many as are missing."""
        while len(self._members) < self._count:
            self._members.append(self._spawn(next(self._numbers)))

    def watch(self) -> int:
        """Replace those that died; how many are at work.

        Raises:
            ValueError: they die again and again; the message holds the last one's last line.
        """
        for member in list(self._members):
            code = member.poll()
            if code is None:
                continue
            self._members.remove(member)
            if code != 0:
                self.deaths += 1
                if self.deaths > MOST_DEATHS:
                    raise ValueError(f"workers keep dying: {self.last_words()}")
                self._members.append(self._spawn(next(self._numbers)))
        return len(self._members)

    @property
    def pids(self) -> list[int]:
        """Of the processes at work."""
        return [member.pid for member in self._members]

    def stop(self) -> None:
        """Ask all to stop after the step at hand, and end those that do not."""
        for member in self._members:
            if member.poll() is None:
                member.send_signal(signal.SIGINT)
        end = time.monotonic() + STOP_SECONDS
        for member in self._members:
            try:
                member.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()
        self._members = []

    def last_words(self) -> str:
        """The last line that a worker wrote before it died."""
        logs = sorted((self.folder / "workers").glob("*.log"), key=lambda p: p.stat().st_mtime)
        for log in reversed(logs):
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return f"{lines[-1]} ({log})"
        return "they left no word"

    def _spawn(self, number: int) -> subprocess.Popen[bytes]:
        logs = self.folder / "workers"
        logs.mkdir(exist_ok=True)
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        command = [sys.executable, "-m", "vneuron.autopilot.process", str(self.folder), str(number)]
        with (logs / f"{number}.log").open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | one_thread,
            )
