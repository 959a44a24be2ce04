"""Poisson counts: divergence, exact draws, and draws that a gradient can pass.

Everything is elementwise tensor maths without modules or state. `log_rate` is u = ln r, a unit's
membrane potential in the neural reading; divergences are in nats.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Window: TypeAlias = Literal["cubic", "sigmoid"]

# f(δ)/δ² = Σ_{n≥2} (n − 1)/n! δⁿ⁻², up to n = 5. In single precision both forms
# are off by 2e-6 at most around |δ| = 0.05, in double by 1e-12 around 0.002.
_SERIES = tuple((n - 1) / math.factorial(n) for n in range(5, 1, -1))
_SERIES_BELOW = {torch.float64: 0.002}
# Beyond twelve temperatures the sigmoid is within 1e-5 of zero or one.
_SIGMOID_REACH = 12.0
# Mean rates above which skipping zeros, and skipping events before the window, begin to pay or
# cease to: measured on one thread of a CPU, and without influence on the distribution.
_MOSTLY_ZERO = 1.0
_FEW_BEFORE = 0.3
# Events of one element that are drawn one after the other, before the rest are drawn as a count.
_ROUNDS = 6


def kl_divergence(log_rate: Tensor, prior_log_rate: Tensor) -> Tensor:
    """Divergence of one Poisson distribution from another, elementwise.

    KL(Pois(r) ‖ Pois(r₀)) = r₀ f(δ) with f(δ) = 1 − eᵟ + δ eᵟ and δ = u − u₀. It scales with the
    *prior's* rate: information costs spikes. Near δ = 0 the terms of f cancel to δ²/2, which
    single precision loses; a series is used there.

    Args:
        log_rate: u, any shape.
        prior_log_rate: u₀, broadcastable.

    Returns:
        Nats, in the broadcast shape; nothing is summed.

    Example:
        >>> kl_divergence(torch.tensor([0.0, 1.0]), torch.tensor(0.0))
        tensor([0., 1.])
    """
    shift = log_rate - prior_log_rate
    excess: Tensor = _Excess.apply(shift)  # type: ignore[no-untyped-call]
    return prior_log_rate.exp() * excess


class _Excess(torch.autograd.Function):
    """f(δ) = 1 − eᵟ + δ eᵟ with f′(δ) = δ eᵟ: differentiating the two branches costs twice that."""

    @staticmethod
    def forward(ctx: Any, shift: Tensor) -> Tensor:
        series = torch.full_like(shift, _SERIES[0])
        for coefficient in _SERIES[1:]:
            series.mul_(shift).add_(coefficient)
        series.mul_(shift).mul_(shift)
        growth = torch.expm1(shift)
        ctx.save_for_backward(shift, growth)
        direct = (shift - growth).addcmul_(shift, growth)
        return torch.where(shift.abs() < _SERIES_BELOW.get(shift.dtype, 0.05), series, direct)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        shift, growth = ctx.saved_tensors
        if torch.is_grad_enabled():  # plain operations, so that a second derivative is right too
            plain: Tensor = gradient * shift * shift.exp()
            return plain
        slope: Tensor = (growth + 1.0).mul_(shift).mul_(gradient)
        return slope


def sample_counts(rate: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Exact Poisson counts, quick where most of them are zero.

    A uniform number U decides whether there is an event at all: U > e⁻ʳ. Read as a first arrival
    at −ln U < r, it leaves Pois(r + ln U) further events, which only these elements have to draw.

    Args:
        rate: r ≥ 0, any shape. No gradient passes.
        generator: the source of randomness; None is torch's global one.

    Returns:
        Whole numbers in the shape and dtype of `rate`.

    Example:
        >>> sample_counts(torch.zeros(3))
        tensor([0., 0., 0.])
    """
    rate = rate.detach()
    if rate.device.type != "cpu" or bool(rate.mean() > _MOSTLY_ZERO):
        return torch.poisson(rate, generator=generator)
    uniform = torch.rand(rate.shape, dtype=rate.dtype, device=rate.device, generator=generator)
    counts = torch.zeros_like(rate, memory_format=torch.contiguous_format)
    some = (uniform > rate.neg().exp_()).view(-1).nonzero().squeeze(-1)
    arrival = uniform.view(-1)[some].log_()
    rest = rate.reshape(-1)[some].add_(arrival).clamp_min_(0.0)
    counts.view(-1)[some] = torch.poisson(rest, generator=generator).add_(1.0)
    return counts


def relaxed_sample(
    log_rate: Tensor,
    temperature: float,
    window: Window = "cubic",
    generator: torch.Generator | None = None,
) -> Tensor:
    """A draw z ~ Pois(eᵘ) with events counted through a soft window, so that gradients reach u.

    Events are points of a Poisson process on the time axis; z = Σ w(tₙ), where w falls from one to
    zero around t = 1 over a time set by the temperature τ, and tₙ scales as e⁻ᵘ:

    - "cubic": a smoothstep over [1 − τ, 1 + τ]. E z = r exactly, Var z = r (1 − 0.257 τ).
    - "sigmoid": 1/(1 + e^−(1−t)/τ). E z = r τ ln(1 + e^(1/τ)), which at τ = 1 is 31% too much.

    Only points within the window need a place in time: the number before it is drawn as a count,
    and what is kept for the gradient is one number per element, dz/du = −Σ w′(tₙ) tₙ. The cubic
    window follows the advice of arXiv:2602.03896; arrival times as such are those of the Poisson
    VAE (arXiv:2405.14473).

    Args:
        log_rate: u, any shape.
        temperature: τ, for the cubic window at most 1. At 0 the draw is exact and has no gradient.
        window: the form of w.
        generator: the source of randomness; None is torch's global one.

    Returns:
        z ≥ 0 in the shape of `log_rate`; whole numbers at τ = 0.

    Raises:
        ValueError: if the temperature or the window is not one of these.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> u = torch.zeros(200_000, requires_grad=True)
        >>> z = relaxed_sample(u, 0.5)
        >>> z.sum().backward()
        >>> round(z.mean().item(), 2), round(u.grad.mean().item(), 2)   # E z = dE z/du = r
        (1.0, 1.0)
    """
    check_window(temperature, window)
    if temperature == 0.0:
        return sample_counts(log_rate.detach().exp(), generator)
    result: Tensor = _RelaxedSample.apply(  # type: ignore[no-untyped-call]
        log_rate, float(temperature), window, generator
    )
    return result


def check_window(temperature: float, window: str) -> None:
    """Refuse what `relaxed_sample` does not know.

    Raises:
        ValueError: naming the value, the range and the cure.

    Example:
        >>> check_window(0.5, "cubic")
    """
    if window not in get_args(Window):
        raise ValueError(f"window is {window!r}, expected one of {get_args(Window)}.")
    if not 0.0 <= temperature < math.inf or (window == "cubic" and temperature > 1.0):
        raise ValueError(
            f"temperature is {temperature}, expected 0 to {'1' if window == 'cubic' else 'any'} "
            f"for the {window} window: a cubic window wider than that would be cut off at time 0."
        )


def window_weight(time: Tensor, temperature: float, window: Window) -> tuple[Tensor, Tensor]:
    """How much of an event at a time counts, w(t), and −w′(t).

    Args:
        time: t ≥ 0, any shape; events before 1 count in the limit τ → 0.
        temperature: τ > 0.
        window: the form of w.

    Returns:
        w and −w′, each in the shape of `time`.

    Example:
        >>> window_weight(torch.tensor([0.0, 1.0, 2.0]), 0.5, "cubic")
        (tensor([1.0000, 0.5000, 0.0000]), tensor([0.0000, 1.5000, 0.0000]))
    """
    if window == "sigmoid":
        weight = torch.sigmoid((1.0 - time) / temperature)
        return weight, weight * (1.0 - weight) / temperature
    v = ((1.0 - time) / (2.0 * temperature) + 0.5).clamp(0.0, 1.0)
    return v.square() * (3.0 - 2.0 * v), v * (1.0 - v) * (3.0 / temperature)


class WindowPoints(NamedTuple):
    """Events of a relaxed draw, those before the window only counted.

    Attributes:
        whole: number of events before the window, in the shape of the rate.
        owner: flat index of the element that each event within the window belongs to, [points].
        time: when it happens, [points].
    """

    whole: Tensor
    owner: Tensor
    time: Tensor


@torch.no_grad()
def draw_points(
    rate: Tensor,
    temperature: float,
    window: Window = "cubic",
    generator: torch.Generator | None = None,
) -> WindowPoints:
    """Events of Poisson processes of the given rates, as far as a window can tell them apart.

    Args:
        rate: r ≥ 0, any shape.
        temperature: τ > 0.
        window: the form of the window, which decides how far it reaches.
        generator: the source of randomness; None is torch's global one.

    Returns:
        The events.

    Example:
        >>> draw_points(torch.zeros(2, 2), 0.1).time.shape
        torch.Size([0])
    """
    reach = temperature if window == "cubic" else _SIGMOID_REACH * temperature
    start, end = max(0.0, 1.0 - reach), 1.0 + reach
    if bool(rate.mean() * start < _FEW_BEFORE):
        # Giving a few more events a time is cheaper than drawing two counts.
        return WindowPoints(torch.zeros_like(rate), *_arrivals(rate.view(-1), end, generator))
    whole = sample_counts(rate * start, generator)
    counts = sample_counts(rate * (end - start), generator).view(-1)
    some = counts.nonzero().squeeze(-1)
    owner = torch.repeat_interleave(some, counts[some].long())
    time = torch.empty(owner.shape, dtype=rate.dtype, device=rate.device)
    return WindowPoints(whole, owner, time.uniform_(start, end, generator=generator))


def _arrivals(rate: Tensor, end: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Owners and times of all events up to `end`, one after the other as they arrive.

    Gaps are −ln U / r. Each round goes on with those alone that had an event, so that at low rates
    the first, in which U < e^−(r end) says that there is none, is all that costs. What is left of
    elements with many events is drawn as a count.
    """
    uniform = torch.rand(rate.shape, dtype=rate.dtype, device=rate.device, generator=generator)
    owner = (uniform > (rate * -end).exp_()).nonzero().squeeze(-1)
    fast = rate[owner]
    time = uniform[owner].log_().neg_().div_(fast)
    owners, times = [owner], [time]
    for _ in range(_ROUNDS):
        gap = torch.empty_like(fast).exponential_(generator=generator).div_(fast)
        time = gap.add_(time)
        going = (time < end).nonzero().squeeze(-1)
        if not len(going):
            return torch.cat(owners), torch.cat(times)
        owner, fast, time = owner[going], fast[going], time[going]
        owners.append(owner)
        times.append(time)
    counts = torch.poisson(fast * (end - time), generator=generator).long()
    owners.append(torch.repeat_interleave(owner, counts))
    since = torch.repeat_interleave(time, counts)
    place = torch.rand(since.shape, dtype=rate.dtype, device=rate.device, generator=generator)
    times.append(since + place * (end - since))
    return torch.cat(owners), torch.cat(times)


class _RelaxedSample(torch.autograd.Function):
    """The draw and its slope dz/du, of which only the slope is kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        log_rate: Tensor,
        temperature: float,
        window: Window,
        generator: torch.Generator | None,
    ) -> Tensor:
        whole, owner, time = draw_points(
            log_rate.exp().contiguous(), temperature, window, generator
        )
        weight, slope = window_weight(time, temperature, window)
        gradient = torch.zeros_like(whole)
        gradient.view(-1).index_add_(0, owner, slope.mul_(time))
        whole.view(-1).index_add_(0, owner, weight)
        ctx.save_for_backward(gradient)
        return whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return gradient * slope, None, None, None
