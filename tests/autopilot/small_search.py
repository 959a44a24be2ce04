"""Options that make a search small, and a PostgreSQL server of the test's own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

SMALL = {
    "units": 4,
    "hidden": 8,
    "epochs": 3,
    "batch_size": 16,
    "encoder": "linear",
    "features": "window",
}
"""Options that make a fit take a fraction of a second."""


SPACE = {"units": [2, 4], "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}}


class Postgres:
    """A server of its own on a free port, started, killed and started again by the test."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.port = free_port()
        self.server: subprocess.Popen[bytes] | None = None
        self._user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        if os.geteuid() != 0:
            self._user = []
        else:
            shutil.chown(folder, "nobody", "nogroup")
        self._run("initdb", "-D", str(folder / "data"), "-U", "vneuron", "-A", "trust")

    @property
    def url(self) -> str:
        return f"postgresql://vneuron@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        command = [*self._user, str(self.binaries / "postgres"), "-D", str(self.folder / "data")]
        command += ["-p", str(self.port), "-k", str(self.folder), "-h", "127.0.0.1"]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        ready = [str(self.binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(600):
            if subprocess.run(ready, check=False).returncode == 0:
                return
            if self.server.poll() is not None:
                break
            signal.sigtimedwait([], 0.1)
        pytest.fail((self.folder / "server.log").read_text(errors="replace")[-2000:])

    def kill(self) -> None:
        """As a power cut would: the postmaster and all its children at once."""
        assert self.server is not None
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [*self._user, str(self.binaries / name), *arguments],
            check=True,
            capture_output=True,
            cwd=self.folder,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
