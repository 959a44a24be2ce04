"""What iterative estimators share: inference, learning in closed form or through time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ..inference import (
    AbstractIterativeModel,
    InferenceOptions,
    descent_step,
    init_descent,
    unroll,
)
from ..training.run_folder import RunFolder
from .closed_form import ClosedFormLearner, Noise
from .decoders import DecoderKind
from .estimator import AbstractImageModel, CodeStep
from .learning import learn_by_gradient, learn_by_settling, update_count
from .through_time import ThroughTime

__all__ = ["AbstractIterativeVAE", "Learning"]

Learning: TypeAlias = Literal["closed_form", "through_time"]


class AbstractIterativeVAE(AbstractImageModel):
    """What the iterative estimators share: they differ in the model that they build."""

    module_: AbstractIterativeModel[Any]
    beta: float | None
    learning: Learning
    truncate: int | None
    decoder: DecoderKind
    noise: Noise
    learning_rate: float
    gradient_clip: float
    reference_compat: bool

    CLOSED_FORM_BETA: ClassVar[float]
    THROUGH_TIME_BETA_PER_STEP: ClassVar[float]

    # -- the streaming interface ---------------------------------------------------------------

    def init_state(self, batch: int) -> Any:
        """The prior for a batch: where a film begins. See `vneuron.inference`."""
        self._fitted()
        with torch.no_grad():
            return self.module_.init_state(batch)

    def step(self, state: Any, frame: Any) -> Any:
        """The state after one more frame, [batch, pixels] or [batch, h, w].

        Uses stochastic natural-gradient steps with a rolling anchor, whatever the learning.
        """
        from .images import to_rows

        rows, _ = to_rows(frame, self.n_features_in_)
        device = next(self.module_.parameters()).device
        with torch.no_grad():
            return self.module_.step(state, (rows / self.scale_).to(device))

    # -- learning ------------------------------------------------------------------------------

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        self._check()
        if self.learning == "closed_form":
            self._train_closed_form(images, held_out, run)
        else:
            self._train_through_time(images, held_out, run)

    def _train_closed_form(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        beta = self._beta()
        learner = self._learner().to(images.device)
        learner.start(images)

        def learn(batch: Tensor) -> Tensor:
            return learner.learn(batch, self.steps, beta).energy.mean()

        learn_by_settling(self, learner, learn, images, held_out, run)

    def _learner(self) -> ClosedFormLearner:
        return ClosedFormLearner(self.module_, self.noise)

    def _train_through_time(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        updates = update_count(self, images)
        learn_by_gradient(
            self,
            ThroughTime(self.module_, self.steps, self._beta(), self.truncate, updates),
            images,
            held_out,
            run,
            learning_rate=self.learning_rate,
            gradient_clip=self.gradient_clip,
            warmup_steps=updates // 200,
        )

    # -- inference -----------------------------------------------------------------------------

    def _infer(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        model = self.module_
        constants = model.constants()
        if self.learning == "through_time":
            states = unroll(model, itertools.repeat(images, steps), constants=constants)
            for state in states:
                yield CodeStep(
                    partial(model.activity, state),
                    model.mean_activity(state),
                    model.potential(state),
                )
            return
        beta = self._beta()
        descent = init_descent(model, images, constants, beta)
        for _ in range(steps):
            descent = descent_step(model, descent, images, constants, beta)
            draw = partial(model.draw, descent.belief)
            yield CodeStep(draw, descent.activity, descent.belief[0])

    def _decode(self, activity: Tensor) -> Tensor:
        decoded: Tensor = self.module_.decoder(activity)
        return decoded

    def _options(self) -> InferenceOptions:
        return InferenceOptions(reference_compat=self.reference_compat)

    def _beta(self) -> float:
        if self.beta is not None:
            return self.beta
        if self.learning == "closed_form":
            return self.CLOSED_FORM_BETA
        return self.THROUGH_TIME_BETA_PER_STEP * self.steps

    def _check(self) -> None:
        """Refuse arguments out of range; scikit-learn wants that at `fit`."""
        if self.learning not in get_args(Learning):
            raise ValueError(
                f"learning is {self.learning!r}, expected one of {get_args(Learning)}."
            )
        if self.noise not in get_args(Noise):
            raise ValueError(f"noise is {self.noise!r}, expected one of {get_args(Noise)}.")
        least = {"steps": 1, "epochs": 1, "batch_size": 1}
        if self.truncate is not None:
            least["truncate"] = 1
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {bound}.")
        if self.beta is not None and not self.beta >= 0:
            raise ValueError(f"beta is {self.beta}, expected a number not below 0.")
