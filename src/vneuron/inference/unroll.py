"""Steps over a stream of frames: one at a time, with the state in the caller's hands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from .model import AbstractIterativeModel, Constants, StateT


def unroll(
    model: AbstractIterativeModel[StateT],
    frames: Iterable[Tensor],
    state: StateT | None = None,
    temperature: float = 0.0,
    constants: Constants | None = None,
    openness: float = 1.0,
) -> Iterator[StateT]:
    """The state after each frame.

    Nothing is kept between calls: to go on with a film, hand the last state back in; to begin a
    new one, hand in None.

    Args:
        model: what explains the frames.
        frames: tensors [batch, features], such as `itertools.repeat(image, steps)`, the frames of
            a film, or a generator that reads a camera.
        state: where to go on; None starts at the prior.
        temperature: of relaxed draws; 0 draws exactly.
        constants: `model.constants()`; None works them out once.
        openness: of the soft limits of `reference_compat`.

    Yields:
        States, one for each frame.

    Example:
        >>> import itertools, torch
        >>> from vneuron.inference import IterativePoisson, LinearDecoder
        >>> model, image = IterativePoisson(LinearDecoder(4, 3)), torch.ones(2, 3)
        >>> states = list(unroll(model, itertools.repeat(image, 5)))
        >>> len(states), states[-1].log_rate.shape
        (5, torch.Size([2, 4]))
    """
    shared = model.constants() if constants is None else constants
    for frame in frames:
        if state is None:
            state = model.init_state(len(frame), temperature, shared)
        state = model.step(state, frame, temperature, shared, openness)
        yield state
