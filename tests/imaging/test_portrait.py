"""What is shown of a model is what the model does."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vneuron.imaging import GaussianVAE, IterativePoissonVAE, PoissonVAE, SparseCoding
from vneuron.imaging.portrait import atoms, portray, step_ladder, trade_off


@pytest.fixture(scope="module")
def images() -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    rows, columns = rng.random((90, 6, 1)) < 0.3, rng.random((90, 1, 6)) < 0.3
    return rows + columns + 0.05 * rng.random((90, 6, 6))


@pytest.fixture(scope="module")
def model(images: NDArray[np.float64]) -> IterativePoissonVAE:
    return IterativePoissonVAE(latents=20, steps=10, epochs=3, batch_size=30).fit(images[:70])


def test_atoms_of_a_linear_decoder_are_its_columns(model: IterativePoissonVAE) -> None:
    np.testing.assert_allclose(
        atoms(model), model.module_.decoder.dictionary.detach().T.numpy(), atol=1e-6
    )


def test_atoms_of_any_decoder_are_what_a_latent_adds(images: NDArray[np.float64]) -> None:
    bent = PoissonVAE(latents=7, epochs=1, decoder="mlp").fit(images[:70])
    shown = atoms(bent) * bent.scale_
    rest = bent.inverse_transform(np.zeros((1, 7)))
    alone = bent.inverse_transform(np.eye(7))
    np.testing.assert_allclose(shown, (alone - rest).reshape(7, -1), atol=1e-5)


def test_a_portrait_holds_together(model: IterativePoissonVAE, images: NDArray[np.float64]) -> None:
    found = portray(model, images[:70], images[70:])
    steps = step_ladder(model)
    assert [row["step"] for row in found.scores] == steps
    assert found.arrays["steps"].tolist() == steps
    np.testing.assert_array_equal(found.codes, model.transform(images[70:]))
    table = model.score_table(images[70:], steps=steps)
    assert [row["zeros"] for row in found.scores] == table["zeros"].tolist()
    shown = found.arrays["images"] * model.scale_
    np.testing.assert_allclose(shown, images[70:78], rtol=1e-5)
    means = model.transform(images[70:78], steps=steps[-1], kind="mean")
    last = found.arrays["reconstructions"][:, -1] * model.scale_
    np.testing.assert_allclose(last, model.inverse_transform(means), atol=1e-4)
    use = found.arrays["atom_use"]
    assert (np.diff(use) <= 0).all()
    np.testing.assert_allclose(use, np.sort(found.codes.mean(0))[::-1], rtol=1e-6)
    activity, rows = found.arrays["activity"], found.arrays["rows"]
    assert activity.shape == (8, steps[-1], len(rows))
    assert (activity == activity.round()).all()


def test_a_higher_price_buys_fewer_spikes(
    model: IterativePoissonVAE, images: NDArray[np.float64]
) -> None:
    found = trade_off(model, images[:70], images[70:])
    assert found is not None
    points = found["points"]
    assert model.beta is None  # the model itself is left alone
    assert [p["price"] for p in points] == sorted(p["price"] for p in points)
    assert points[-1]["activity"] < points[0]["activity"]
    assert points[-1]["bits_per_pixel"] < points[0]["bits_per_pixel"]
    assert points[-1]["r2_pooled"] < points[0]["r2_pooled"]


def test_without_a_price_there_is_no_trade(images: NDArray[np.float64]) -> None:
    amortised = GaussianVAE(latents=7, epochs=1).fit(images[:70])
    assert trade_off(amortised, images[:70], images[70:]) is None
    dense = portray(amortised, images[:70], images[70:])
    assert dense.cost is None
    assert [row["step"] for row in dense.scores] == [1]
    sparse = SparseCoding(latents=7, steps=20, epochs=1).fit(images[:70])
    priced = trade_off(sparse, images[:70], images[70:])
    assert priced is not None
    assert priced["parameter"] == "penalty"
    assert all(point["bits_per_pixel"] is None for point in priced["points"])
