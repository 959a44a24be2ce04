"""The trainer: a task in, its best weights and how they came about out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .config import TrainingConfig
from .interruption import Interruption
from .journal import MAIN_MODEL, Journal
from .launch import build_fabric, follows, hush, launch, processes, shared_copy, spawns, unshare
from .outcome import StopReason, TrainingOutcome
from .progress import SilentProgress, choose_progress
from .run_folder import RunFolder
from .session import OnEpoch, Session
from .state import Identity
from .task import AbstractTask

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["MAIN_MODEL", "StopReason", "Trainer", "TrainingConfig", "TrainingOutcome"]


class Trainer:
    """Trains tasks on one or several devices.

    Args:
        config: how; None for the defaults.

    Example:
        >>> trainer = Trainer(TrainingConfig(epochs=2, quiet=True))
        >>> trainer.config.epochs
        2
    """

    def __init__(self, config: TrainingConfig | None = None) -> None:
        self.config = TrainingConfig() if config is None else config

    def fit(
        self,
        task: AbstractTask,
        run: RunFolder | None = None,
        name: str = MAIN_MODEL,
        *,
        resume: bool = False,
        on_epoch: OnEpoch | None = None,
    ) -> TrainingOutcome:
        """Train a task; on return its module holds the best weights, in eval mode.

        The loss is `free_energy(nll, terms, penalty)`; AdamW follows it with a cosine schedule,
        and `control_step` runs after each step. After each epoch the task is validated, and the
        epoch's line, the units' vitals and the checkpoints "best" and "last" are written. The
        order of examples and all draws follow from the seed: the same seed on the same machine
        gives the same bits (on CUDA if torch is told to be deterministic), also after a kill and
        a resumption. The caller's random state is left as it was.

        Ctrl-C stops at the next step (with several processes, within 20) and is an outcome, not
        an exception; a second one is a KeyboardInterrupt. Either way, and after a kill, `resume`
        goes on from the end of the last whole epoch.

        With `devices` above 1 the trainer starts that many processes by itself (spawn): the
        user's script is imported by them, not run, so what it does must stand under
        `if __name__ == "__main__":`, and the task must be importable and can be pickled.
        `torchrun script.py` works as well; then every process calls `fit` with the same
        arguments, the first one alone writes, and all can read the run folder. A batch is that
        of one process: two processes take the steps of one with twice the batch size.

        Args:
            task: what to train.
            run: where to write; None writes nothing.
            name: the model's name in the run, which may hold several, trained one after another.
                The checkpoints of `MAIN_MODEL` are "best" and "last", those of another
                "<name>-best" and "<name>-last".
            resume: go on with what the run holds under this name; begin if it holds nothing. The
                module must be built as it was then. A run that has ended is not trained further.
            on_epoch: called with each epoch's record on the first process. What it raises ends
                training.

        Returns:
            The outcome. `outcome.reason.message` says what to do about it.

        Raises:
            ValueError: the task or the configuration is wrong, or (as ResumeError or
                RunFolderError) the run is of another configuration, damaged, or already trained.
        """
        if resume and run is None:
            raise ValueError("resume is True without a run folder: pass the run to go on with.")
        journal = None if run is None else Journal(run, name, writing=False)
        # What the first process makes of the folder may be half done by now.
        fresh = follows() and not resume
        if journal is not None and not fresh and journal.has_checkpoint:
            if not resume:
                raise journal.already_trained()
            identity = Identity.of(self.config, task, processes(self.config))
            state = journal.saved_state(task.module, identity)
            if state.reason is not None:
                journal.load_best(task.module)
                task.module.eval()
                return state.outcome(StopReason(state.reason))
        return self._train(task, _Job(self.config, task, run, name, resume, on_epoch))

    def _train(self, task: AbstractTask, job: _Job) -> TrainingOutcome:
        fabric = build_fabric(self.config)
        if not spawns(self.config):
            return TrainingOutcome(**launch(fabric, job))
        # Results come back through shared memory: the queue that Fabric returns by is read only
        # after the processes have ended, and holds little.
        job.result = shared_copy(task.module)
        job.asked = torch.zeros((), dtype=torch.int8)
        job.asked.share_memory_()  # type: ignore[no-untyped-call]
        with Interruption(job.asked):
            outcome = launch(fabric, job)
        task.module.load_state_dict(job.result)
        task.module.eval()
        return TrainingOutcome(**outcome)


class _Job:
    """What each process does.

    A plain class that is called, and gives a dictionary: Fabric looks into dataclasses among
    arguments and results for tensors to move, and fails on frozen ones.

    Attributes:
        result: where the first process puts the weights; shared with the one that started it.
        asked: becomes 1 when that one is interrupted.
    """

    def __init__(
        self,
        config: TrainingConfig,
        task: AbstractTask,
        run: RunFolder | None,
        name: str,
        resume: bool,
        on_epoch: OnEpoch | None,
    ) -> None:
        self.config = config
        self.task = task
        self.run = run
        self.name = name
        self.resume = resume
        self.on_epoch = on_epoch
        self.result: dict[str, Any] | None = None
        self.asked: Tensor | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a process that Fabric started, the first that runs of what is ours."""
        hush()
        self.__dict__.update(state)

    def __call__(self, fabric: Fabric) -> dict[str, Any]:
        """Train, and give the outcome's fields."""
        first, module = fabric.is_global_zero, self.task.module
        if self.result is not None:
            unshare(module)
        journal = None if self.run is None else Journal(self.run, self.name, writing=first)
        progress = choose_progress(self.config.quiet) if first else SilentProgress()
        with Interruption(self.asked) as interruption:
            session = Session(
                fabric,
                self.config,
                self.task,
                self.name,
                journal,
                progress,
                interruption,
                self.on_epoch,
            )
            if self.resume:
                session.restore()
            outcome = session.run()
        if self.result is not None and first:
            for key, value in module.state_dict().items():
                if isinstance(value, Tensor):
                    self.result[key].copy_(value)
        return vars(outcome)
