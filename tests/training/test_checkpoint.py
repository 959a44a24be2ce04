"""Checkpoints: the same bits after a resume, nothing changed by one that does not fit."""

import copy
import json
import math

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vneuron.training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from vneuron.training.encoding import decode, encode
from vneuron.training.run_folder import RunFolder, RunFolderError


class Net(nn.Module):
    """Weights, tied weights, float and integer buffers, dropout (the global random state)."""

    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.third.weight = self.second.weight
        self.last = nn.Linear(width, 1)
        self.register_buffer("running", torch.zeros(width))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        h = nn.functional.dropout(self.first(x).relu(), 0.3)
        with torch.no_grad():
            self.running.lerp_(h.mean(0), 0.1)
            self.updates.add_(1)
        return self.last(self.third(self.second(h)))


class Training:
    def __init__(self, seed, optimizer="AdamW", **kwargs):
        torch.manual_seed(seed)
        self.net = Net(**kwargs)
        decay, rest = list(self.net.parameters())[:3], list(self.net.parameters())[3:]
        groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "lr": 3e-3}]
        options = {"amsgrad": True} if optimizer == "AdamW" else {"momentum": 0.9}
        self.optimizer = getattr(torch.optim, optimizer)(groups, lr=1e-2, **options)
        warm = torch.optim.lr_scheduler.LinearLR(self.optimizer, total_iters=2)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=6)
        self.scheduler = torch.optim.lr_scheduler.SequentialLR(
            self.optimizer, [warm, cosine], milestones=[2]
        )
        self.generator = torch.Generator().manual_seed(seed + 1)

    def steps(self, n):
        losses = []
        for _ in range(n):
            x = torch.randn(16, 4, generator=self.generator)
            loss = (self.net(x) - x.sum(1, keepdim=True)).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            losses.append(loss.item())
        return losses

    def parts(self):
        return {
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "generators": {"batches": self.generator},
        }


def same(a, b):
    """Equal trees, bit for bit, types included."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a.view(-1), b.view(-1)) and a.shape == b.shape
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run")


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
def test_three_steps_save_load_three_steps_equal_six(run, optimizer):
    whole = Training(0, optimizer)
    losses = whole.steps(6)

    half = Training(0, optimizer)
    assert half.steps(3) == losses[:3]
    save_checkpoint(run, "last", half.net, **half.parts(), progress={"epoch": 1, "best": math.inf})

    fresh = Training(99, optimizer)
    fresh.steps(2)
    torch.manual_seed(5)
    progress = load_checkpoint(run, "last", fresh.net, **fresh.parts())
    assert progress == {"epoch": 1, "best": math.inf}
    assert fresh.net.second.weight is fresh.net.third.weight
    assert fresh.steps(3) == losses[3:]
    assert same(dict(fresh.net.state_dict()), dict(whole.net.state_dict()))
    assert same(fresh.optimizer.state_dict(), whole.optimizer.state_dict())
    assert same(fresh.scheduler.state_dict(), whole.scheduler.state_dict())
    assert torch.equal(fresh.generator.get_state(), whole.generator.get_state())


def test_saving_changes_nothing(run):
    plain, saving = Training(0), Training(0)
    torch.manual_seed(1)
    plain_losses = plain.steps(4)
    torch.manual_seed(1)
    losses = saving.steps(2)
    save_checkpoint(run, "last", saving.net, **saving.parts())
    assert losses + saving.steps(2) == plain_losses


def test_weights_alone_leave_the_random_state(run):
    training = Training(0)
    save_checkpoint(run, "best", training.net, progress={"epoch": 2})
    other = Training(3)
    before = torch.get_rng_state()
    assert load_weights(run, "best", other.net) == {"epoch": 2}
    assert torch.equal(torch.get_rng_state(), before)
    assert same(dict(other.net.state_dict()), dict(training.net.state_dict()))


def test_dtypes_survive(run):
    module = nn.Module()
    values = torch.tensor([0.1, -0.0, float("nan"), float("inf"), 1e-40])
    for dtype in (torch.float64, torch.bfloat16, torch.float16, torch.float32):
        module.register_buffer(f"as_{str(dtype)[6:]}", values.to(dtype))
    module.register_buffer("mask", torch.tensor([[True], [False]]))
    module.register_buffer("none", torch.zeros(0, 3))
    module.register_buffer("strided", torch.arange(6.0).view(2, 3).t())
    save_checkpoint(run, "last", module)
    other = copy.deepcopy(module)
    for buffer in other.buffers():
        buffer.zero_()
    load_checkpoint(run, "last", other)
    for name, buffer in module.named_buffers():
        again = other.get_buffer(name)
        assert again.dtype == buffer.dtype
        assert torch.equal(torch.nan_to_num(again), torch.nan_to_num(buffer)), name
        assert torch.equal(again.isnan(), buffer.isnan())


def test_the_readable_copy_names_the_file(run):
    save_checkpoint(run, "last", nn.Linear(1, 1), progress={"epoch": 3, "best": math.nan})
    value = json.loads((run.path / "checkpoints" / "last.json").read_text())
    assert value["epoch"] == 3
    assert value["best"] is None
    assert len(value["sha256"]) == 64
    run.verify()


def test_a_checkpoint_is_one_file_so_a_kill_cannot_mix_two(run, monkeypatch):
    training = Training(0)
    save_checkpoint(run, "last", training.net, **training.parts(), progress={"step": 0})
    training.steps(1)
    monkeypatch.setattr(RunFolder, "write_json", lambda *_: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        save_checkpoint(run, "last", training.net, **training.parts(), progress={"step": 1})
    monkeypatch.undo()
    other = Training(9)
    assert load_checkpoint(run, "last", other.net, **other.parts()) == {"step": 1}
    assert same(dict(other.net.state_dict()), dict(training.net.state_dict()))


# -- what does not fit ---------------------------------------------------------------------------


def refused(run, match, module, **parts):
    before = copy.deepcopy(dict(module.state_dict()))
    random = torch.get_rng_state()
    with pytest.raises(RunFolderError, match=match) as error:
        load_checkpoint(run, "last", module, **parts)
    assert "\n" not in str(error.value)
    assert "last.safetensors" in str(error.value)
    assert same(dict(module.state_dict()), before)
    assert torch.equal(torch.get_rng_state(), random)


def test_what_does_not_fit_is_refused_and_changes_nothing(run):
    training = Training(0)
    training.steps(1)
    save_checkpoint(run, "last", training.net, **training.parts())
    refused(run, r"'running' has shape \[8\], the model \[9\] \(and \d+ more\)", Net(9))
    refused(run, "'weight' is missing", nn.Linear(4, 8))
    smaller = Net()
    del smaller.last
    refused(run, "'last.weight' is not in the model", smaller)
    net = Net()
    refused(run, "generator 'noise'", net, generators={"noise": torch.Generator()})
    adam = torch.optim.AdamW(net.parameters())
    refused(run, r"groups hold \[3, 4\]", net, optimizer=adam)
    groups = list(net.parameters())
    swapped = torch.optim.AdamW([{"params": groups[4:]}, {"params": groups[:4]}])
    refused(run, r"parameter \d has moments", net, optimizer=swapped)


def test_a_part_that_was_not_saved_is_refused(run):
    save_checkpoint(run, "last", Net())
    fresh = Training(1)
    refused(run, "no optimizer state", fresh.net, optimizer=fresh.optimizer)
    refused(run, "no scheduler state", fresh.net, scheduler=fresh.scheduler)


def test_missing_and_damaged_files(run):
    with pytest.raises(RunFolderError, match=r"best\.safetensors: missing"):
        load_checkpoint(run, "best", Net())
    save_checkpoint(run, "last", Net())
    path = run.path / "checkpoints" / "last.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-4] + b"oops")
    refused(run, "changed since it was written", Net())
    (run.path / "checksums.json").unlink()
    for bad in (b"", b"x" * 100, data[: len(data) // 2], data[:-1]):
        path.write_bytes(bad)
        refused(run, "not a checkpoint", Net())
    path.write_bytes(safetensors.torch.save(dict(nn.Linear(1, 1).state_dict())))
    refused(run, "not a checkpoint", Net())


# -- the encoding --------------------------------------------------------------------------------

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.floats(width=32), max_size=3).map(torch.tensor)
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.just("$tuple"), inner, max_size=3)
        | st.dictionaries(st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(tree=trees)
def test_encoding_round_trip(tree):
    value, tensors = encode(tree)
    again = decode(json.loads(json.dumps(value, allow_nan=False)), tensors)
    nan_safe = [t.nan_to_num(7.0) for t in tensors.values()]
    assert all(torch.equal(t, t) for t in nan_safe)
    assert json.dumps(encode(again)[0]) == json.dumps(value)
    assert all(
        torch.equal(t.nan_to_num(7.0), encode(again)[1][name].nan_to_num(7.0))
        for name, t in tensors.items()
    )


def test_encoding_names_do_not_collide():
    tree = {"a": {"b": torch.zeros(1)}, "a.b": torch.ones(1)}
    value, tensors = encode(tree)
    again = decode(value, tensors)
    assert again["a"]["b"].item() == 0
    assert again["a.b"].item() == 1


@pytest.mark.parametrize("bad", [object(), {1.5: 0}, {"a": [len]}])
def test_encoding_refuses_what_only_pickle_could_store(bad):
    with pytest.raises(ValueError, match="state"):
        encode(bad)
