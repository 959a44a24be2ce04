"""Who works on a trial, and what becomes of those whose worker has died."""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

from .backend import hushed, optuna
from .pruner import PROGRESS

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["MAX_ATTEMPTS", "Owner", "reclaim", "release"]

LEASE_SECONDS = 600.0
"""A trial of another host counts as lost when its last sign of life is older."""

UNSIGNED_SECONDS = 30.0
"""A trial is signed as soon as it is drawn."""

MAX_ATTEMPTS = 3
"""A configuration that has killed so many workers is not tried again."""

RunningState = (optuna.trial.TrialState.RUNNING,)


class Owner:
    """This process, told apart from a later one that is given the same number.

    Example:
        >>> owner = Owner()
        >>> owner.is_alive(owner.sign())
        True
    """

    def __init__(self) -> None:
        self.host = socket.gethostname()
        self.pid = os.getpid()
        self.token = secrets.token_hex(4)

    def sign(self) -> dict[str, Any]:
        """What a trial says of who works on it, and when."""
        return {
            "host": self.host,
            "pid": self.pid,
            "started": _started(self.pid),
            "at": time.time(),
        }

    def is_alive(self, signed: dict[str, Any]) -> bool:
        """Whether whoever signed may still be at work.

        A process of this host is asked for; of another host, the time of its last sign counts.
        """
        if signed.get("host") == self.host:
            return _started(int(signed["pid"])) == signed.get("started")
        return time.time() - float(signed.get("at", 0.0)) < LEASE_SECONDS


def reclaim(study: optuna.Study, owner: Owner, *, own: bool = False) -> list[int]:
    """Put trials whose worker has died back into the queue.

    Args:
        study: in its storage.
        owner: who asks.
        own: also those of this process, which has given them up.

    Returns:
        The numbers of the trials that were lost.
    """
    lost = []
    for trial in study.get_trials(deepcopy=False, states=RunningState):
        signed = trial.user_attrs.get(PROGRESS, {}).get("owner")
        mine = signed is not None and (signed["host"], signed["pid"]) == (owner.host, owner.pid)
        if signed is None:
            age = time.time() - (trial.datetime_start.timestamp() if trial.datetime_start else 0)
            gone = age > UNSIGNED_SECONDS
        else:
            gone = own if mine else not owner.is_alive(signed)
        if gone and release(study, trial):
            lost.append(trial.number)
    return lost


def release(study: optuna.Study, trial: FrozenTrial, *, blame: bool = True) -> bool:
    """End a trial without a result and queue its configuration again.

    Args:
        study: in its storage.
        trial: the one to give up.
        blame: count it against the configuration, which is tried `MAX_ATTEMPTS` times.

    Returns:
        Whether this process ended it; another may have been faster.
    """
    with hushed():
        try:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        except (ValueError, RuntimeError):  # it has been ended by somebody else
            return False
        attempts = int(trial.user_attrs.get("attempts", 1))
        if trial.params and attempts < MAX_ATTEMPTS:
            study.enqueue_trial(
                trial.params,
                user_attrs={"retry_of": trial.number, "attempts": attempts + int(blame)},
            )
    return True


def _started(pid: int) -> str | None:
    """When a process of this host began, in the system's own count; None where there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
            return None if fields[0] == "Z" else fields[19]
    except OSError:
        pass
    if os.path.isdir("/proc/self"):
        return None
    try:  # no /proc: the process number has to do
        os.kill(pid, 0)
    except OSError:
        return None
    return "unknown"
