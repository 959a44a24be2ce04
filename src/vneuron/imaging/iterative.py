"""What iterative estimators share: inference, learning in closed form or through time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
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
from .films import Motion, film_of, given_film
from .images import ImageError, to_rows
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
    motion: Motion
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
        rows, _ = to_rows(frame, self.n_features_in_)
        device = next(self.module_.parameters()).device
        with torch.no_grad():
            return self.module_.step(state, (rows / self.scale_).to(device))

    def watch(self, frames: Iterable[Any], state: Any = None) -> Iterator[Any]:
        """The state after each frame: of a film, a camera, or `streams.rotating` and `jittering`.

        Nothing is kept between calls. A state's activity is its code: `model.module_.activity`.

        Args:
            frames: each [batch, pixels] or [batch, h, w]; one and the same again and again is a
                still image.
            state: where to go on; None begins at the prior.

        Yields:
            States, one for each frame.
        """
        for frame in frames:
            if state is None:
                state = self.init_state(len(frame))
            state = self.step(state, frame)
            yield state

    # -- learning ------------------------------------------------------------------------------

    def fit_films(self, films: Any, **options: Any) -> Self:
        """Learn through time from films: every step of inference sees the next frame.

        Args:
            films: [n, frames, pixels] or [n, frames, h, w], all of one length, which takes the
                place of `steps`.
            options: `run_dir` and the others of `fit`.

        Raises:
            ImageError: if films have another shape.
            ValueError: if learning is not "through_time".
        """
        array = films.detach().cpu().numpy() if isinstance(films, Tensor) else np.asarray(films)
        if array.ndim not in (3, 4) or 0 in array.shape:
            raise ImageError(
                f"films have shape {array.shape}, expected [n, frames, pixels] or "
                "[n, frames, h, w] with none of them 0."
            )
        if self.learning != "through_time":
            raise ValueError(
                f"learning is {self.learning!r}, and films are learned from through time; expected "
                "'through_time': set it, or fit the frames as images."
            )
        rows, _ = to_rows(array.reshape(len(array), -1))
        kept = {"run_dir": None, "resume": False, "overwrite": False, "source": None}
        return self._learn_from(rows, array.shape[2:], **(kept | options))

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
        frames = images.shape[1] // self.n_features_in_  # more than one in a given film
        steps = self.steps if frames == 1 else frames
        film = film_of(self.motion, self.shape_) if frames == 1 else given_film
        beta, truncate = self._beta(), self.truncate
        learn_by_gradient(
            self,
            ThroughTime(self.module_, steps, beta, truncate, updates, film=film),
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
        if self.motion != "still" and self.learning != "through_time":
            raise ValueError(
                f"motion is {self.motion!r} with learning={self.learning!r}, expected "
                "'through_time': codes that settle need images that rest."
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
