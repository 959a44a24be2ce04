"""Every image model keeps scikit-learn's conventions, learns, and comes back from disk."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from vneuron.imaging import (
    AbstractImageModel,
    CategoricalVAE,
    GaussianVAE,
    ImageError,
    IterativeAmortisedVAE,
    IterativeGaussianVAE,
    IterativePoissonVAE,
    LaplaceVAE,
    PoissonVAE,
    PredictiveCoding,
    SemiAmortisedVAE,
    SparseCoding,
    load_model,
)
from vneuron.imaging.amortised import AbstractAmortisedVAE
from vneuron.imaging.loading import MODELS as KINDS
from vneuron.training.progress import SilentProgress
from vneuron.training.record import EpochRecord
from vneuron.training.run_folder import RunFolder, RunFolderError

SMALL: dict[str, Any] = {"latents": 16, "epochs": 3, "batch_size": 50}
MODELS = {
    "iP": IterativePoissonVAE(steps=12, **SMALL),
    "iP learned prior": IterativePoissonVAE(steps=12, prior_rate=None, **SMALL),
    "iP gamma prior": IterativePoissonVAE(
        steps=12, beta=0.4, prior_rate=0.1, prior_shape=0.01, **SMALL
    ),
    "iP through time": IterativePoissonVAE(steps=4, learning="through_time", **SMALL),
    "iP truncated": IterativePoissonVAE(steps=4, learning="through_time", truncate=1, **SMALL),
    "iP compat": IterativePoissonVAE(
        steps=4, learning="through_time", reference_compat=True, **SMALL
    ),
    "iP mlp": IterativePoissonVAE(steps=4, learning="through_time", decoder="mlp", **SMALL),
    "iP conv": IterativePoissonVAE(steps=2, learning="through_time", decoder="conv", **SMALL),
    "iG": IterativeGaussianVAE(steps=12, **SMALL),
    "iG rectified": IterativeGaussianVAE(steps=12, activation="rectified", noise="pixel", **SMALL),
    "iG through time": IterativeGaussianVAE(steps=4, learning="through_time", **SMALL),
    "LCA": SparseCoding(steps=40, penalty=0.3, **SMALL),
    "LCA nonnegative": SparseCoding(steps=40, penalty=0.3, nonnegative=True, **SMALL),
    "PC": PredictiveCoding(steps=10, **SMALL),
    "iPC": PredictiveCoding(steps=10, incremental=True, **SMALL),
    "LCA mlp": SparseCoding(steps=10, penalty=0.3, decoder="mlp", **SMALL),
    "PC conv": PredictiveCoding(steps=5, decoder="conv", **SMALL),
    "iPC mlp": PredictiveCoding(steps=5, incremental=True, decoder="mlp", **SMALL),
    "Laplace": LaplaceVAE(**SMALL),
    "categorical": CategoricalVAE(choices=4, **SMALL),
    "categorical, one choice": CategoricalVAE(encoder="mlp", decoder="mlp", **SMALL),
    "ia": IterativeAmortisedVAE(steps=5, **SMALL),
    "ia learned": IterativeAmortisedVAE(steps=3, refinement="learned", **SMALL),
    "ia rectified": IterativeAmortisedVAE(steps=5, posterior="rectified", encoder="mlp", **SMALL),
    "sa": SemiAmortisedVAE(steps=3, **SMALL),
    "sa Gaussian": SemiAmortisedVAE(steps=3, posterior="gaussian", encoder="conv", **SMALL),
    "P": PoissonVAE(encoder="mlp", **SMALL),
    "G": GaussianVAE(encoder="conv", decoder="conv", **SMALL),
    "G rectified": GaussianVAE(activation="rectified", **SMALL),
}


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    """Sparse mixtures of six bars on a grid of 6 x 6."""
    rng = np.random.default_rng(0)
    bars = np.zeros((6, 6, 6), dtype=np.float32)
    for i in range(3):
        bars[i, 2 * i] = 1.0
        bars[3 + i, :, 2 * i] = 1.0
    weights = rng.gamma(2.0, 0.5, (300, 6)) * (rng.random((300, 6)) < 0.4)
    noise = 0.02 * rng.standard_normal((300, 6, 6))
    return (np.einsum("nk,khw->nhw", weights, bars) + noise).astype(np.float32)


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS.keys())
def fitted(request: pytest.FixtureRequest, images: NDArray[np.float32]) -> AbstractImageModel:
    model: AbstractImageModel = clone(request.param)
    before = torch.get_rng_state()
    assert model.fit(images) is model
    assert torch.equal(torch.get_rng_state(), before)
    return model


def test_codes_and_images_have_their_shapes(
    fitted: AbstractImageModel, images: NDArray[np.float32]
) -> None:
    codes = fitted.transform(images[:7])
    assert codes.shape == (7, 16)
    assert np.isfinite(codes).all()
    back = fitted.inverse_transform(codes)
    assert back.shape == (7, 6, 6)
    assert np.isfinite(back).all()
    if isinstance(fitted, IterativePoissonVAE | PoissonVAE | CategoricalVAE):
        assert codes.dtype == np.int32
        assert (codes >= 0).all()
    flat = fitted.transform(images[:7].reshape(7, -1))
    np.testing.assert_array_equal(flat, codes)


def test_draws_follow_the_seed(fitted: AbstractImageModel, images: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(fitted.transform(images[:5]), fitted.transform(images[:5]))
    means = fitted.transform(images[:5], kind="mean")
    np.testing.assert_array_equal(means, fitted.transform(images[:5], kind="mean"))


def test_it_comes_back_from_disk(
    fitted: AbstractImageModel, images: NDArray[np.float32], tmp_path: Path
) -> None:
    fitted.save(tmp_path / "model")
    again = type(fitted).load(tmp_path / "model")
    assert again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(again.transform(images[:5]), fitted.transform(images[:5]))
    wrong = SparseCoding if not isinstance(fitted, SparseCoding) else PredictiveCoding
    with pytest.raises(ValueError, match=type(fitted).__name__):
        wrong.load(tmp_path / "model")


def test_the_score_table_streams(fitted: AbstractImageModel, images: NDArray[np.float32]) -> None:
    table = fitted.score_table(images[:30], steps=(1, 3))
    expected = [1] if isinstance(fitted, AbstractAmortisedVAE) else [1, 3]
    assert list(table["step"]) == expected
    assert len(fitted.score_table(images[:30], steps=(2,))) == 1
    assert (table["zeros"] >= 0).all()
    assert (table["zeros"] <= 1).all()
    assert table["r2_pooled"].iloc[-1] <= 1.0
    assert np.isfinite(fitted.score(images[:30]))


def test_every_kind_is_among_them() -> None:
    assert {type(model) for model in MODELS.values()} == set(KINDS.values())


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_the_same_model(name: str, images: NDArray[np.float32]) -> None:
    one, two, other = (
        clone(MODELS[name]).set_params(seed=seed, epochs=1).fit(images[:80]) for seed in (3, 3, 4)
    )
    a, b, c = (model.transform(images[:5], kind="mean") for model in (one, two, other))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_bad_input_is_refused(fitted: AbstractImageModel, images: NDArray[np.float32]) -> None:
    with pytest.raises(ImageError, match="36"):
        fitted.transform(images[:, :5])
    with pytest.raises(ImageError, match="not finite"):
        fitted.transform(np.where(images > 1, np.nan, images))
    with pytest.raises(ValueError, match=r"expected \[n, 16\]"):
        fitted.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="kind"):
        fitted.transform(images, kind="median")
    with pytest.raises(ValueError, match="steps"):
        fitted.transform(images, steps=0)
    with pytest.raises(NotFittedError, match="fit"):
        clone(fitted).transform(images)
    with pytest.raises(ValueError, match="at least 2"):
        clone(fitted).fit(images[:1])


FAMILIES = {
    "iP": IterativePoissonVAE(steps=3, learning="through_time", **SMALL),
    "iG": IterativeGaussianVAE(steps=3, learning="through_time", **SMALL),
    "iG rectified": IterativeGaussianVAE(
        steps=3, learning="through_time", activation="rectified", **SMALL
    ),
    "LCA": SparseCoding(steps=8, penalty=0.3, **SMALL),
    "PC": PredictiveCoding(steps=8, **SMALL),
    "iPC": PredictiveCoding(steps=8, incremental=True, **SMALL),
    "P": PoissonVAE(**SMALL),
    "G": GaussianVAE(**SMALL),
    "Laplace": LaplaceVAE(**SMALL),
    "categorical": CategoricalVAE(choices=4, **SMALL),
    "ia": IterativeAmortisedVAE(steps=3, **SMALL),
    "ia learned": IterativeAmortisedVAE(steps=3, refinement="learned", **SMALL),
    "sa": SemiAmortisedVAE(steps=3, **SMALL),
    "sa rectified": SemiAmortisedVAE(steps=3, posterior="rectified", **SMALL),
}


@pytest.mark.parametrize("decoder", ["linear", "mlp", "conv"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_under_every_decoder(
    family: str, decoder: str, images: NDArray[np.float32]
) -> None:
    model = clone(FAMILIES[family]).set_params(decoder=decoder, epochs=1).fit(images)
    before = {name: value.clone() for name, value in model.module_.state_dict().items()}
    model.set_params(epochs=3, learning_rate=0.01).fit(images)
    moved = {
        name
        for name, value in model.module_.state_dict().items()
        if value.dtype.is_floating_point and not torch.equal(value, before[name])
    }
    assert any("decoder" in name or "dictionary" in name or "body" in name for name in moved)
    error = (images - model.inverse_transform(model.transform(images, kind="mean"))) ** 2
    assert np.isfinite(error).all()
    assert error.mean() < np.square(images).mean()


@pytest.mark.parametrize(
    "name",
    ["iP", "iP gamma prior", "iG", "iG rectified", "LCA", "LCA nonnegative", "PC", "iPC"],
)
def test_bars_are_learned(name: str, images: NDArray[np.float32]) -> None:
    model = clone(MODELS[name]).set_params(epochs=15).fit(images)
    table = model.score_table(images, steps=(100,))
    assert table["r2_pooled_map"].iloc[-1] > 0.9


def test_kl_makes_poisson_codes_sparse(images: NDArray[np.float32]) -> None:
    zeros = [
        clone(MODELS["iP"]).set_params(beta=beta).fit(images).score_table(images, steps=(60,))
        for beta in (0.05, 3.0)
    ]
    assert zeros[1]["zeros"].iloc[0] > zeros[0]["zeros"].iloc[0] + 0.05
    assert zeros[1]["activity"].iloc[0] < zeros[0]["activity"].iloc[0]


def test_kl_does_not_make_rectified_gaussian_codes_sparser(images: NDArray[np.float32]) -> None:
    zeros = [
        clone(MODELS["iG rectified"]).set_params(beta=beta).fit(images).score(images)
        for beta in (0.05, 3.0)
    ]
    assert zeros[0] > zeros[1]  # the price of the KL is fidelity
    portions = [
        clone(MODELS["iG rectified"])
        .set_params(beta=beta)
        .fit(images)
        .score_table(images, steps=(60,))["zeros"]
        .iloc[0]
        for beta in (0.05, 3.0)
    ]
    assert portions[1] < portions[0] + 0.05


def test_learning_through_time_lowers_the_loss(images: NDArray[np.float32], tmp_path: Path) -> None:
    model = clone(MODELS["iP through time"]).set_params(epochs=12, learning_rate=0.02)
    model.fit(images, run_dir=tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    losses = [e["val_loss"] for e in run.read_events() if e["event"] == "epoch"]
    assert len(losses) == 12
    assert losses[-1] < losses[0]
    again = IterativePoissonVAE.load(tmp_path / "run")
    np.testing.assert_array_equal(again.transform(images[:5]), model.transform(images[:5]))


def test_a_run_in_closed_form_is_written(images: NDArray[np.float32], tmp_path: Path) -> None:
    clone(MODELS["iP"]).fit(images, run_dir=tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    run.verify()
    assert [e["epoch"] for e in run.read_events() if e["event"] == "epoch"] == [1, 2, 3]
    assert IterativePoissonVAE.load(tmp_path / "run").transform(images[:2]).shape == (2, 16)


@pytest.mark.parametrize("name", ["iP", "LCA", "PC"])
def test_a_killed_run_resumes_to_the_same_bits(
    name: str, images: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = clone(MODELS[name]).fit(images, run_dir=tmp_path / "whole")

    class Killed(Exception):
        pass

    class Killer(SilentProgress):
        def epoch(self, record: EpochRecord, score: str) -> None:
            if record.epoch == 2:
                raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("vneuron.imaging.settling.choose_progress", lambda quiet: Killer())
        with pytest.raises(Killed):
            clone(MODELS[name]).fit(images, run_dir=tmp_path / "cut")
    resumed = clone(MODELS[name]).fit(images, run_dir=tmp_path / "cut", resume=True)
    for key, value in whole.module_.state_dict().items():
        assert torch.equal(resumed.module_.state_dict()[key], value), key
    events = RunFolder.open(tmp_path / "cut").read_events()
    assert [e["epoch"] for e in events if e["event"] == "epoch"] == [1, 2, 3]
    with pytest.raises(RunFolderError, match="earlier run"):
        clone(MODELS[name]).fit(images, run_dir=tmp_path / "cut")
    other = clone(MODELS[name]).set_params(epochs=9)
    with pytest.raises(ValueError, match="same arguments"):
        other.fit(images, run_dir=tmp_path / "cut", resume=True)


def test_a_folder_says_which_model_it_holds(images: NDArray[np.float32], tmp_path: Path) -> None:
    model = clone(MODELS["LCA"]).fit(images)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert type(again) is SparseCoding
    np.testing.assert_array_equal(again.transform(images[:3]), model.transform(images[:3]))
    RunFolder.create(tmp_path / "other").write_json("config.json", {"vneuron": "0"})
    with pytest.raises(ValueError, match="no image model"):
        load_model(tmp_path / "other")


def test_without_scikit_learn_the_extra_is_named() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import vneuron.imaging"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "pip install 'vneuron[imaging]'" in done.stderr


def test_films_keep_their_state_with_the_caller(images: NDArray[np.float32]) -> None:
    model = clone(MODELS["iP"]).fit(images)
    state = model.init_state(4)
    for frame in itertools.repeat(images[:4], 3):
        before = state
        state = model.step(state, frame)
        assert state is not before
    assert state.log_rate.shape == (4, 16)


def test_a_pipeline_and_cross_validation_take_it(images: NDArray[np.float32]) -> None:
    pipeline = make_pipeline(
        FunctionTransformer(lambda x: x.reshape(len(x), -1)), clone(MODELS["LCA"])
    )
    assert pipeline.fit_transform(images).shape == (300, 16)


@pytest.mark.parametrize("name", MODELS)
def test_before_fit_it_says_so(name: str, images: NDArray[np.float32]) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        clone(MODELS[name]).transform(images)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (IterativePoissonVAE(learning="magic"), "learning"),  # type: ignore[arg-type]
        (IterativePoissonVAE(beta=-1.0), "beta"),
        (IterativePoissonVAE(steps=0), "steps"),
        (IterativePoissonVAE(prior_rate=0.0), "prior_rate"),
        (IterativePoissonVAE(prior_shape=-0.1), "prior_shape"),
        (IterativePoissonVAE(prior_shape=0.1, prior_rate=None), "a held rate"),
        (IterativePoissonVAE(prior_shape=0.1, learning="through_time"), "a held rate"),
        (IterativePoissonVAE(truncate=0), "truncate"),
        (IterativePoissonVAE(noise="loud"), "noise"),  # type: ignore[arg-type]
        (IterativePoissonVAE(decoder="rnn"), "decoder"),  # type: ignore[arg-type]
        (IterativePoissonVAE(decoder="mlp"), "linear decoder"),
        (IterativeGaussianVAE(activation="swish"), "activation"),  # type: ignore[arg-type]
        (GaussianVAE(activation="swish"), "activation"),  # type: ignore[arg-type]
        (GaussianVAE(encoder="rnn"), "encoder"),  # type: ignore[arg-type]
        (IterativePoissonVAE(fineness=0.0), "fineness"),
        (PoissonVAE(beta=-1.0), "beta"),
        (SparseCoding(penalty=0.0), "penalty"),
        (PredictiveCoding(learning_rate=0.0), "learning_rate"),
    ],
)
def test_arguments_out_of_range_are_refused_at_fit(
    model: AbstractImageModel, message: str, images: NDArray[np.float32]
) -> None:
    with pytest.raises(ValueError, match=message):
        model.fit(images)


def test_mnist_digits_are_coded_sparsely(shared_data: Path) -> None:
    from vneuron.imaging import load_images

    digits = load_images(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")[:1200, ::2, ::2]
    model = IterativePoissonVAE(latents=64, steps=15, epochs=4).fit(digits[:1000])
    row = model.score_table(digits[1000:], steps=(15, 60)).iloc[-1]
    assert row["r2_pooled"] > 0.5
    assert row["zeros"] > 0.5
