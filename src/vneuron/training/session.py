"""The training loop itself, as it runs in each process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.distributed

from ..core import Info, units_of
from .clock import Clock
from .config import TrainingConfig
from .interruption import Interruption
from .journal import Journal
from .launch import state_copy
from .meter import Meter, Reading, unit_state
from .order import ExampleOrder, mixed_seed
from .outcome import StopReason, TrainingOutcome
from .progress import AbstractProgress
from .record import EpochRecord
from .schedule import settling_patience
from .state import Identity, TrainingState
from .stepper import Stepper, build_optimizer
from .task import AbstractTask

if TYPE_CHECKING:
    import pandas as pd
    from lightning_fabric import Fabric

__all__ = ["OnEpoch", "Session"]

OnEpoch = Callable[[EpochRecord], object]

# How many steps may pass between two waits for the device.
_READ_EVERY = 20


class Session:
    """One model's training in one process.

    Args:
        fabric: launched.
        config: how to train.
        task: what to train.
        name: the model's name.
        journal: where to write; None writes nothing.
        progress: what to tell the person; silent on all processes but the first.
        interruption: entered by the caller.
        on_epoch: called after each epoch on the first process.
    """

    def __init__(
        self,
        fabric: Fabric,
        config: TrainingConfig,
        task: AbstractTask,
        name: str,
        journal: Journal | None,
        progress: AbstractProgress,
        interruption: Interruption,
        on_epoch: OnEpoch | None,
    ) -> None:
        self.fabric = fabric
        self.config = config
        self.task = task
        self.name = name
        self.journal = journal
        self.progress = progress
        self.interruption = interruption
        self.on_epoch = on_epoch
        self.identity = Identity.of(config, task, fabric.world_size)
        self.order = ExampleOrder(
            task.examples,
            config.batch_size,
            world=fabric.world_size,
            seed=config.seed,
            min_steps=config.min_steps_per_epoch,
            max_steps=config.max_steps_per_epoch,
        )
        task.module.to(fabric.device)
        self.optimizer = build_optimizer(task, config)
        self.step = Stepper(
            fabric,
            config,
            task,
            self.optimizer,
            total=config.epochs * self.order.steps,
            epoch=self.order.steps,
        )
        self.state = TrainingState()
        self.best = state_copy(task.module)
        self.controls = Info({})
        self.clock = Clock()

    # -- beginning and end -----------------------------------------------------------------

    def restore(self) -> None:
        """Go on from the last whole epoch, if there is one."""
        if self.journal is None or not self.journal.has_checkpoint:
            return
        module = self.task.module
        self.journal.load_best(module)
        self.best = state_copy(module)
        progress = self.journal.load_last(module, self.optimizer)
        self.state = TrainingState.from_progress(progress)
        self.clock = Clock(self.state.seconds, self.state.cpu_seconds)

    def run(self) -> TrainingOutcome:
        """Train until there is a reason to stop; the module then holds the best weights."""
        on_gpu = self.fabric.device.type == "cuda"
        try:
            self._open()
            with torch.random.fork_rng([self.fabric.device] if on_gpu else []):
                reason = self._epochs()
            self.state.seconds, self.state.cpu_seconds = self.clock.read()
            self.progress.close(f"{self.name}: {reason.message}")
        finally:
            self.progress.close()
            if self.journal is not None:
                self.journal.close()
        self.task.module.load_state_dict(self.best)
        self.task.module.eval()
        return self.state.outcome(reason)

    def _open(self) -> None:
        if self.journal is not None:
            self.journal.open(self.state.epoch, self.state.events)
        if self.state.epoch > 0:
            self._event("resume", epoch=self.state.epoch, step=self.state.step)
        else:
            self._event(
                "start",
                epochs=self.config.epochs,
                steps_per_epoch=self.order.steps,
                batch_size=self.order.batch_size,
                examples=self.task.examples,
                processes=self.fabric.world_size,
                device=self.fabric.device.type,
                parameters=sum(p.numel() for p in self.task.module.parameters()),
            )
        self.progress.start(self.name, self.config.epochs, self.order.steps, self.state.step)

    def _event(self, event: str, **fields: object) -> None:
        if self.journal is not None:
            self.journal.event(event, **fields)

    # -- epochs ----------------------------------------------------------------------------

    def _epochs(self) -> StopReason:
        while True:
            reading = self._train_epoch()
            if reading.interrupted:
                self._event("interrupted", epoch=self.state.epoch + 1)
                return StopReason.INTERRUPTED
            if not math.isfinite(reading["loss"]):
                return self._diverge()
            reason = self._finish_epoch(reading)
            if reason is not None:
                return reason

    def _train_epoch(self) -> Reading:
        """The steps of an epoch, or fewer if it is interrupted or diverges."""
        epoch, world = self.state.epoch, self.fabric.world_size
        # All draws of an epoch follow from its number, so resuming needs no random state.
        torch.manual_seed(mixed_seed(self.config.seed, self.fabric.global_rank, epoch))
        indices = self.order.epoch(epoch, self.fabric.global_rank)
        if self.fabric.device.type == "cuda":
            indices = indices.pin_memory()
        meter = Meter()
        self.task.module.train()
        for step, chosen in enumerate(indices, start=1):
            done = self.state.step + step
            self.controls = self.step(chosen, done - 1, meter, self.state.settled)
            # Alone, stop at once; with others, when all can agree to.
            asked = world == 1 and self.interruption.requested
            if asked or step % _READ_EVERY == 0 or step == self.order.steps:
                reading = meter.read(self.interruption.requested)
                kl, alive = unit_state(self.task.module)
                self.progress.advance(
                    epoch + 1, done, {"loss": reading["loss"], "kl": kl, "alive": alive}
                )
                if reading.interrupted or not math.isfinite(reading["loss"]):
                    break
        return reading

    def _finish_epoch(self, reading: Reading) -> StopReason | None:
        """Validate, write everything down, and say whether to stop."""
        scores = self._validate()
        score = scores[self.task.score]
        if not math.isfinite(score):
            return self._diverge()
        state = self.state
        state.epoch += 1
        state.step += self.order.steps
        best = state.judge(score)
        state.watch(scores, self.step.watched, settling_patience(self.config.epochs))
        state.seconds, state.cpu_seconds = self.clock.read()
        reason = self._reason()
        state.reason = None if reason is None else reason.value
        if state.epoch == 1:
            self._mark_reference()  # there is no earlier state to have drifted from
        vitals = self._vitals()
        if best:
            self._mark_reference()
            self.best = state_copy(self.task.module)
        record = self._record(reading, scores, best)
        self._write(record, vitals, reason)
        self.progress.epoch(record, self.task.score)
        if self.on_epoch is not None and self.fabric.is_global_zero:
            self.on_epoch(record)
        return reason

    def _reason(self) -> StopReason | None:
        if self.state.epoch >= self.config.epochs:
            return StopReason.COMPLETED
        if 0 < self.config.patience <= self.state.stale:
            return StopReason.EARLY_STOPPED
        return None

    def _diverge(self) -> StopReason:
        self._event("stop", reason=StopReason.DIVERGED.value, epoch=self.state.epoch + 1)
        return StopReason.DIVERGED

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """The first process's scores, everywhere, with the buffers that it wrote."""
        module = self.task.module
        module.eval()
        scores: dict[str, float] = {}
        if self.fabric.is_global_zero:
            scores = {name: float(value) for name, value in self.task.validate(module).items()}
        if self.fabric.world_size > 1:
            scores = self.fabric.broadcast(scores)
            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, src=0)
        if self.task.score not in scores:
            raise ValueError(
                f"validate() returned {sorted(scores)}, expected the task's score "
                f"{self.task.score!r} among them: return it, or name another in `score`."
            )
        return scores

    def _record(self, reading: Reading, scores: dict[str, float], best: bool) -> EpochRecord:
        kl, alive = unit_state(self.task.module)
        means = dict(reading)
        return EpochRecord(
            model=self.name,
            epoch=self.state.epoch,
            step=self.state.step,
            loss=means.pop("loss"),
            nll=means.pop("nll"),
            kl=kl,
            alive=alive,
            scores=scores,
            best=best,
            seconds=self.state.seconds,
            logs=means,
            controls=self.controls.fetch(),
        )

    def _mark_reference(self) -> None:
        """From now on drift is measured from here: at every best epoch, by every process.

        The vitals of an epoch tell how far the units have moved since the best one before it: it
        settles as training does, and grows where training goes on and validation does not follow.
        The weights that are kept carry the state that they were chosen in, so that what control
        steps on later data find has drifted from there.
        """
        for _, unit in units_of(self.task.module):
            unit.statistics.mark_reference()

    def _vitals(self) -> pd.DataFrame | None:
        """The units' state, where someone is there to write it down."""
        writing = self.journal is not None and self.fabric.is_global_zero
        return self.task.vitals() if writing else None

    def _write(
        self, record: EpochRecord, vitals: pd.DataFrame | None, reason: StopReason | None
    ) -> None:
        """Events and vitals first: what the checkpoint then says is on the disk, is."""
        journal, state, module = self.journal, self.state, self.task.module
        if journal is None or not self.fabric.is_global_zero:
            return
        if vitals is not None:
            journal.vitals(record.epoch, record.step, vitals)
        journal.event("epoch", **record.line())
        if record.best:
            journal.event("best", epoch=record.epoch, score=state.best_score)
            journal.save_best(module, state.progress(self.identity))
        if reason is not None:
            journal.event("stop", reason=reason.value, epoch=record.epoch)
        state.events = journal.position()
        journal.save_last(module, self.optimizer, state.progress(self.identity))
