"""The training step written out by hand: what torch's kernels alone cost, with nothing around them.

    python benchmarks/speed/by_hand.py [--batch 256 1024] [--rounds 30] [--keep-pages]

Forward and backward of the network `trajectory` with white noise, derived on paper and written as
calls of torch's kernels on buffers that are allocated once: no autograd, no modules, no optimiser
object, no logging, one norm and one AdamW call over one flat vector of all weights. The gradient
is checked against autograd's first. *products* are the bare matrix products and factorisations of
the same shapes (`step.floor_of`), *kernels* what one call of a kernel on two numbers takes, times
the number of calls. What the step by hand takes beyond its products is work that every step has to
do in some way: reading and writing activations, the mask of dropout, densities, the optimiser.
With --keep-pages glibc keeps the memory that the step frees, and does not fetch it afresh.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable

import torch
from measure import Work, paired
from step import HIDDEN, HORIZON, INPUT, WINDOWS, floor_of, step_of, stepper_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vneuron.forecasting.networks.network import MINIMUM_DF, MINIMUM_SPREAD, TrajectoryNetwork
from vneuron.forecasting.networks.normalisation import FLOOR
from vneuron.functional.gaussian import _CENTRE, _HALF_RANGE
from vneuron.functional.woodbury import CHUNK
from vneuron.objective import free_energy

aten = torch.ops.aten
KEEP_PAGES = {
    "MALLOC_TOP_PAD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
}
BETA, LEVELS, DROPPED = 0.1, 2**16, round(0.3 * 2**16)
STATISTICS = 7  # kl, alive, µ, µ², σ², ln σ, ln² σ


class ByHand:
    """One step, call by call.

    Args:
        kind: "marginal", "joint" or "static".
        batch: windows.
        units: N.
        network: whose weights are taken over.
        rows: the series, [rows].
    """

    def __init__(
        self, kind: str, batch: int, units: int, network: TrajectoryNetwork, rows: Tensor
    ) -> None:
        self.kind, self.batch, self.units = kind, batch, units
        self.windows = rows.unfold(0, INPUT + HORIZON, 1)
        named = dict(network.named_parameters())
        fast = [name for name in named if name == "loading"]
        matrices = [name for name in named if named[name].dim() > 1 and name not in fast]
        order = [*matrices, *(n for n in named if n not in matrices and n not in fast), *fast]
        sizes = [named[name].numel() for name in order]
        self.flat = torch.cat([named[name].detach().reshape(-1) for name in order])
        self.slope = torch.zeros_like(self.flat)
        self.w = {
            n: p.view(named[n].shape) for n, p in zip(order, self.flat.split(sizes), strict=True)
        }
        self.g = {
            n: p.view(named[n].shape) for n, p in zip(order, self.slope.split(sizes), strict=True)
        }
        ends = [sum(sizes[: len(matrices)]), sum(sizes[: len(sizes) - len(fast)]), sum(sizes)]
        self.groups = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True) if b > a]
        self.first, self.second = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.steps = [torch.zeros(()) for _ in self.groups]
        self.statistics = torch.zeros(STATISTICS * units)
        self.room: dict[str, Tensor] = {}
        self.keep: Tensor | None = None

    def of(self, name: str, *shape: int) -> Tensor:
        """A buffer of that name."""
        if name not in self.room:
            self.room[name] = torch.empty(shape)
        return self.room[name]

    def __call__(self, chosen: Tensor) -> None:
        self.forward(chosen)
        self.backward()
        self.vitals()
        self.update()

    def forward(self, chosen: Tensor) -> None:
        b, w, of = self.batch, self.w, self.of
        rows = torch.index_select(self.windows, 0, chosen, out=of("rows", b, INPUT + HORIZON))
        x, y = rows[:, :INPUT], rows[:, INPUT:]
        mean = torch.mean(x, -1, keepdim=True, out=of("mean", b, 1))
        u = torch.sub(x, mean, out=of("u", b, INPUT))
        size = torch.linalg.vector_norm(u, dim=-1, keepdim=True, out=of("size", b, 1))
        size.square_().div_(INPUT).add_(FLOOR**2).sqrt_()
        u.div_(size)
        self.yn = torch.sub(y, mean, out=of("yn", b, HORIZON)).div_(size)
        a = torch.addmm(w["features.0.bias"], u, w["features.0.weight"].T, out=of("a", b, HIDDEN))
        torch._C._nn.gelu(a, out=of("f", b, HIDDEN))
        if self.keep is None:
            draws = of("draws", b * HIDDEN // 2).view(torch.int64)
            draws.random_(torch.iinfo(torch.int64).min, None)
            bits = draws.view(torch.int16).view(b, HIDDEN)
            keep = torch.ge(bits, DROPPED - LEVELS // 2, out=of("keep", b, HIDDEN))
            keep.mul_(LEVELS / (LEVELS - DROPPED))
        else:
            keep = self.room["keep"] = self.keep
        f = self.room["f"].mul_(keep)
        raw = torch.addmm(w["spread.bias"], f, w["spread.weight"].T, out=of("raw", b, HORIZON))
        aten.softplus.out(raw, out=of("tau", b, HORIZON)).add_(MINIMUM_SPREAD)
        loc = torch.addmm(
            w["units.loc.bias"], f, w["units.loc.weight"].T, out=of("loc", b, self.units)
        )
        if self.kind == "static":
            v = self.of("v", 1, self.units).copy_(w["units.raw_scale"].view(1, -1))
        else:
            v = torch.addmm(
                w["units.raw_scale"][:, 0],
                f,
                w["units.scale_weight"].T,
                out=of("v", b, self.units),
            )
        v.div_(_HALF_RANGE)
        self.bend = torch.addcmul(torch.ones(()), v, v, out=of("bend", *v.shape)).rsqrt_()
        log_s = torch.mul(v, self.bend, out=of("log_s", *v.shape)).mul_(_HALF_RANGE).add_(_CENTRE)
        torch.exp(log_s, out=of("s", *v.shape))
        path = torch.addmm(
            w["mean_path.bias"], u, w["mean_path.weight"].T, out=of("path", b, HORIZON)
        )
        path.addmm_(loc, w["mean_reader"].T)

    def backward(self) -> None:
        b, w, g, of = self.batch, self.w, self.g, self.of
        tau, s, loc = self.room["tau"], self.room["s"], self.room["loc"]
        df = (torch.nn.functional.softplus(w["raw_df"]) + MINIMUM_DF)[None]
        r = torch.sub(self.yn, self.room["path"], out=of("r", b, HORIZON)).div_(tau)
        square = torch.square(r, out=of("square", b, HORIZON))
        bent = torch.div(square, df, out=of("bent", b, HORIZON)).log1p_()
        pull = torch.add(square, df, out=of("pull", b, HORIZON)).reciprocal_().mul_((df + 1.0) / b)
        self.loss = (
            0.5 * (df + 1.0) * bent.sum()
            + torch.log(tau, out=of("log_tau", b, HORIZON)).sum()
            + HORIZON * self.room["size"].log().sum()
        ) / b - HORIZON * _normaliser(df, 1.0)
        pulled = torch.mul(pull, square, out=of("pulled", b, HORIZON))
        by_df = 0.5 * (bent.sum() / b - pulled.sum() / df) - 0.5 * HORIZON * _slope(df, 1.0)
        by_path = pull.mul_(r).div_(tau).neg_()
        by_tau = pulled.neg_().add_(1.0 / b).div_(tau)
        by_df = by_df.reshape(()) * torch.sigmoid(w["raw_df"])
        by_raw = aten.softplus_backward(by_tau, self.room["raw"], 1.0, 20.0)
        by_loc = torch.mm(by_path, w["mean_reader"], out=of("by_loc", b, self.units))
        by_s = self._rate(by_loc)
        if self.kind != "marginal":
            self._dependence(r, df, by_s)
        g["raw_df"].copy_(by_df)
        u, f = self.room["u"], self.room["f"]
        torch.mm(by_path.T, u, out=g["mean_path.weight"])
        torch.sum(by_path, 0, out=g["mean_path.bias"])
        torch.mm(by_path.T, loc, out=g["mean_reader"])
        torch.mm(by_raw.T, f, out=g["spread.weight"])
        torch.sum(by_raw, 0, out=g["spread.bias"])
        torch.mm(by_loc.T, f, out=g["units.loc.weight"])
        torch.sum(by_loc, 0, out=g["units.loc.bias"])
        by_v = by_s.mul_(s).mul_(self.bend).mul_(self.bend).mul_(self.bend)
        if self.kind != "static":
            torch.mm(by_v.T, f, out=g["units.scale_weight"])
        torch.sum(by_v, 0, keepdim=True, out=g["units.raw_scale"].T)
        by_f = torch.mm(by_raw, w["spread.weight"], out=of("by_f", b, HIDDEN))
        by_f.mul_(self.room["keep"])
        by_a = aten.gelu_backward(by_f, self.room["a"])
        torch.mm(by_a.T, u, out=g["features.0.weight"])
        torch.sum(by_a, 0, out=g["features.0.bias"])

    def _rate(self, by_loc: Tensor) -> Tensor:
        """KL from the learned prior, and its slopes; adds to µ's, returns σ's."""
        b, w, g, of, n = self.batch, self.w, self.g, self.of, self.units
        s, loc = self.room["s"], self.room["loc"]
        v = w["units.prior.raw_scale"].T / _HALF_RANGE
        bend = (1.0 + v * v).rsqrt()
        log_prior = _CENTRE + _HALF_RANGE * v * bend
        prior = log_prior.exp()
        shift = torch.sub(loc, w["units.prior.loc"].T, out=of("shift", b, n)).div_(prior)
        ratio = torch.div(s, prior, out=of("ratio", *s.shape))
        shift_square = torch.square(shift, out=of("shift_square", b, n))
        ratio_square = torch.square(ratio, out=of("ratio_square", *s.shape))
        kl = torch.add(shift_square, ratio_square, out=of("kl", b, n))
        by_prior = (1.0 - kl.mean(0, keepdim=True)).mul_(BETA)
        kl.sub_(1.0).mul_(0.5).sub_(self.room["log_s"]).add_(log_prior)
        self.loss = self.loss + BETA * kl.sum() / b
        by_shift = shift.div_(prior).mul_(BETA / b)
        torch.sum(by_shift, 0, keepdim=True, out=g["units.prior.loc"].T).neg_()
        torch.mul(by_prior, bend * bend * bend, out=g["units.prior.raw_scale"].T)
        by_loc.add_(by_shift)
        own = BETA / (b if len(s) > 1 else 1)
        return torch.sub(ratio_square, 1.0, out=of("by_s", *s.shape)).div_(s).mul_(own)

    def _dependence(self, r: Tensor, df: Tensor, by_s: Tensor) -> None:
        """The joint term with fixed margins."""
        b, g, of, n = self.batch, self.g, self.of, self.units
        loading, s = self.w["loading"], self.room["s"]
        gram = torch.mm(loading.T, loading, out=of("gram", n, n))
        outer = torch.square(loading, out=of("outer", HORIZON, n))
        s_square = torch.square(s, out=of("s_square", *s.shape))
        size = torch.mm(s_square, outer.T, out=of("n", len(s), HORIZON)).add_(1.0)
        root = torch.sqrt(size, out=of("root", *size.shape))
        e = torch.mul(r, root, out=of("e", b, HORIZON))
        c = torch.mm(e, loading, out=of("c", b, n))
        chunk = max(1, CHUNK // n**2)
        v, own = of("solved", b, n), of("own", *s.shape)
        log_det = of("log_det", len(s))
        kept = []
        for first in range(0, len(s), chunk):
            part = s[first : first + chunk]
            shape = (len(part), n, n)
            m = torch.mul(part[:, :, None], gram, out=of(f"m{len(part)}", *shape))
            m.mul_(part[:, None, :])
            torch.diagonal(m, dim1=-2, dim2=-1).add_(1.0)
            factor, _ = torch.linalg.cholesky_ex(m)
            log_det[first : first + chunk] = torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(-1)
            half = torch.cholesky_inverse(factor).mT.mul_(part[:, None, :])
            spread = half * (c[first : first + chunk, None, :] if len(s) > 1 else 1.0)
            if len(s) > 1:
                torch.sum(spread, -1, out=v[first : first + chunk])
            else:
                torch.mm(c, half[0].T, out=v)
            torch.sum(torch.mul(half, gram, out=m), -1, out=own[first : first + chunk])
            kept.append(half.mul_(part[:, :, None]))
        scaled = torch.mul(v, s, out=of("scaled", b, n))
        t = torch.addmm(e, scaled, loading.T, alpha=-1.0, out=of("t", b, HORIZON))
        quadratic = torch.sum(torch.mul(e, t, out=of("et", b, HORIZON)), -1, out=of("q", b))
        half_df = 0.5 * (df + HORIZON)
        joint = half_df * torch.log1p(quadratic / df).sum()
        joint = joint + log_det.sum() * (b / len(s)) - 0.5 * size.log().sum() * (b / len(s))
        self.loss = self.loss + (joint + self.room["log_tau"].sum()) / b
        self.loss = self.loss + HORIZON * self.room["size"].log().sum() / b
        self.loss = self.loss - _normaliser(df, HORIZON)
        by_q = (half_df / (b * (df + quadratic)))[:, None]
        pushed = t.mul_(by_q)
        by_c = torch.mm(pushed, loading, out=of("by_c", b, n))
        by_loading = torch.mm(pushed.T, scaled, out=g["loading"]).mul_(-2.0)
        whole = torch.cat([part.view(len(part), -1).sum(0, keepdim=True) for part in kept]).sum(0)
        by_loading.addmm_(loading, whole.view(n, n), alpha=1.0 / len(s))
        direct = by_c.mul_(v).mul_(-2.0)
        if len(s) == 1:
            by_s.add_(direct.sum(0, keepdim=True))
        else:
            by_s.add_(direct)
        by_s.add_(own, alpha=1.0 / len(s))
        # through n, in e and in the log-determinant
        by_n = torch.mul(pushed, r, out=of("by_n", b, HORIZON))
        if len(s) == 1:
            by_n = by_n.sum(0, keepdim=True)
        by_n = by_n.div_(root).sub_(size.reciprocal_().mul_(0.5 / len(s)))
        by_loading.add_(torch.mm(by_n.T, s_square).mul_(loading), alpha=2.0)
        by_s.add_(torch.mm(by_n, outer).mul_(s), alpha=2.0)

    def vitals(self) -> None:
        """Means of seven quantities over the batch, by one reduction; extremes of σ."""
        n, s, loc, kl = self.units, self.room["s"], self.room["loc"], self.room["kl"]
        rows = self.of("rows of statistics", self.batch, STATISTICS * n)
        part = rows.split(n, 1)
        part[0].copy_(kl)
        torch.gt(kl, 1e-4, out=part[1])
        part[2].copy_(loc)
        torch.square(loc, out=part[3])
        part[4].copy_(s.square() if len(s) == 1 else torch.square(s, out=part[4]))
        part[5].copy_(self.room["log_s"])
        torch.square(part[5], out=part[6])
        self.statistics.lerp_(rows.mean(0), 0.1)
        torch.amin(s, 0, out=self.of("least", n))
        torch.amax(s, 0, out=self.of("most", n))

    def update(self) -> None:
        """Clip the gradient's norm to one, and AdamW."""
        norm = torch.linalg.vector_norm(self.slope).clamp_min_(1.0)
        for group, step in zip(self.groups, self.steps, strict=True):
            step.add_(1)
            torch._fused_adamw_(
                [self.flat[group]],
                [self.slope[group]],
                [self.first[group]],
                [self.second[group]],
                [],
                [step],
                amsgrad=False,
                lr=1e-5,
                beta1=0.9,
                beta2=0.999,
                weight_decay=0.01,
                eps=1e-8,
                maximize=False,
                grad_scale=norm,
                found_inf=None,
            )


def _normaliser(df: Tensor, steps: float) -> Tensor:
    half = torch.lgamma(0.5 * (df + steps)) - torch.lgamma(0.5 * df)
    return half - 0.5 * steps * (df * math.pi).log()


def _slope(df: Tensor, steps: float) -> Tensor:
    return torch.digamma(0.5 * (df + steps)) - torch.digamma(0.5 * df) - steps / df


class Calls(TorchDispatchMode):
    """Counts calls of kernels; views, which compute nothing, are left out."""

    VIEWS = ("view", "t", "transpose", "slice", "split", "diagonal", "unsqueeze", "select", "alias")
    OTHERS = ("detach", "expand", "as_strided", "permute", "unfold", "_unsafe_view", "reshape")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        if not name.startswith("empty") and name not in (*self.VIEWS, *self.OTHERS):
            self.count += 1
        return func(*args, **(kwargs or {}))


def calls(work: Callable[[], object]) -> int:
    """Kernels that it calls."""
    with Calls() as counted:
        work()
    return counted.count


def hand_of(kind: str, batch: int, units: int) -> tuple[ByHand, Work]:
    """The step by hand, checked against autograd; and as a call without arguments."""
    _, task = stepper_of(kind, batch, units)
    network = task.network
    flat = task._train.flat.values
    hand = ByHand(kind, batch, units, network, flat)
    check(hand, task, batch)
    order = torch.randperm(WINDOWS)
    done = 0

    def work() -> None:
        nonlocal done
        first = done * batch % (WINDOWS - batch + 1)
        hand(order[first : first + batch])
        done += 1

    return hand, work


def check(hand: ByHand, task: object, batch: int) -> None:
    """The loss and every gradient by autograd, on the same windows and the same mask."""
    network = task.network  # type: ignore[attr-defined]
    with torch.no_grad():
        network.mean_reader.normal_(0, 0.05)
        if network.units.scale_weight is not None:
            network.units.scale_weight.normal_(0, 0.02)
        for name, value in network.named_parameters():
            hand.w[name].copy_(value)
    chosen = torch.arange(batch) * 3
    keep = (torch.rand(batch, HIDDEN) > 0.3) / 0.7
    network.features[2] = _Fixed(keep)
    hand.keep = keep
    nll, terms, penalty, _ = task.module(*task.batch(chosen, torch.device("cpu")))  # type: ignore[attr-defined]
    loss = free_energy(nll, terms, penalty)
    loss.backward()  # type: ignore[no-untyped-call]
    hand.forward(chosen)
    hand.backward()
    torch.testing.assert_close(hand.loss.reshape(()), loss.detach(), rtol=1e-4, atol=1e-3)
    for name, value in network.named_parameters():
        if value.grad is None:
            continue
        gap = (hand.g[name] - value.grad).norm() / (value.grad.norm() + 1e-6)
        assert gap < 1e-3, f"{name}: {gap:.1e} from autograd's gradient"
    hand.keep = None
    del hand.room["keep"]


class _Fixed(torch.nn.Module):
    def __init__(self, keep: Tensor) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, values: Tensor) -> Tensor:
        return values * self.keep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--keep-pages", action="store_true")
    options = parser.parse_args()
    if options.keep_pages and not os.environ.keys() >= KEEP_PAGES.keys():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP_PAGES})
    torch.set_num_threads(1)
    tiny, other = torch.ones(2), torch.empty(2)
    for batch in options.batch:
        works: dict[str, Work] = {}
        counts = {}
        for kind in ("marginal", "joint", "static"):
            _, hand = hand_of(kind, batch, options.units)
            own = step_of(kind, batch, options.units)
            works |= {
                f"{kind} products": floor_of(kind, batch, options.units),
                f"{kind} by hand": hand,
                f"{kind} step": own,
            }
            for _ in range(2):
                hand(), own()
            counts[kind] = calls(hand), calls(own)
        works["a kernel"] = lambda: [torch.add(tiny, 1.0, out=other) for _ in range(100)]
        found = paired(works, "marginal products", rounds=options.rounds)
        kernel = found["a kernel"].milliseconds / 100
        print(f"batch {batch}: a kernel on two numbers {1e3 * kernel:.2f} µs")
        for kind, (least, most) in counts.items():
            products, hand, step = (
                found[f"{kind} {name}"].milliseconds for name in ("products", "by hand", "step")
            )
            print(
                f"  {kind:<9} products {products:6.2f} ms; by hand {hand:6.2f} "
                f"({hand / products:.2f} ×, {least} kernels = {least * kernel:.2f} ms); "
                f"step {step:6.2f} ({step / products:.2f} ×, {step / hand:.2f} × by hand, "
                f"{most} kernels = {most * kernel:.2f} ms)",
                flush=True,
            )


if __name__ == "__main__":
    main()
