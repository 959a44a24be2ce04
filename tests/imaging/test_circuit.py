"""The network is the model's inference, and cutting its connections does what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vneuron.imaging import IterativePoissonVAE
from vneuron.imaging.evaluation import (
    Circuit,
    contrast_response,
    half_rise,
    log_slope,
    mask_suppression,
    naka_rushton,
    spike_triggered_average,
)
from vneuron.inference import descend


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(200, 6, 1, generator=generator) < 0.3
    columns = torch.rand(200, 1, 6, generator=generator) < 0.3
    noise = 0.1 * torch.randn(200, 6, 6, generator=generator)
    return (rows.float() + columns.float() + noise).flatten(1)


@pytest.fixture(scope="module")
def model(images: torch.Tensor) -> IterativePoissonVAE:
    return IterativePoissonVAE(latents=16, steps=15, beta=0.5, epochs=4, batch_size=50).fit(images)


def test_at_rest_it_is_where_descent_ends(model: IterativePoissonVAE, images: torch.Tensor) -> None:
    scaled = images[:20] / model.scale_
    circuit = Circuit(model, step=0.02)
    rates = circuit.settle(circuit.drive(scaled), 6000)
    found = descend(model.module_, scaled, 3000, kl_weight=0.5)
    torch.testing.assert_close(rates, found.activity, atol=2e-3, rtol=1e-2)


def test_the_cuts_solve_their_own_equations(
    model: IterativePoissonVAE, images: torch.Tensor
) -> None:
    drive = Circuit(model).drive(images[:9] / model.scale_ * 0.02)
    dictionary, constants = model.module_.decoder.dictionary.detach(), model.module_.constants()
    overlap = (dictionary.T * constants.precision.detach()) @ dictionary
    for lateral, feedback in (
        ("all", overlap),
        ("self", torch.diag(overlap.diagonal())),
        ("none", torch.zeros_like(overlap)),
    ):
        circuit = Circuit(model, lateral, step=0.02, ceiling=50.0)  # type: ignore[arg-type]
        rate = circuit.settle(drive, 4000)
        residue = drive - circuit.cost - rate @ feedback - 0.5 * (rate.log() - circuit.rest)
        assert float(residue.abs().max()) < 2e-2, lateral


def test_a_spiking_network_has_the_rates_as_its_mean(
    model: IterativePoissonVAE, images: torch.Tensor
) -> None:
    circuit = Circuit(model, step=0.005, spiking=True)
    drive = circuit.drive(images[:1] / model.scale_).expand(300, -1)
    state = circuit.init(300)
    total = torch.zeros(16)
    for step in range(900):
        state = circuit.step(state, drive)
        if step >= 500:
            total += state.output.mean(0)
    rates = Circuit(model, step=0.02).settle(drive[:1], 4000)[0]
    # Not equal: rates are convex in potentials that now jitter. Near, for a small step.
    torch.testing.assert_close(total / 400, rates, atol=0.05, rtol=0.15)


def test_one_neuron_without_feedback_answers_exponentially() -> None:
    images = torch.rand(40, 4) + 0.5
    model = IterativePoissonVAE(latents=1, steps=10, beta=0.5, epochs=2).fit(images)
    free = Circuit(model, "none", step=0.2)
    atom = model.module_.decoder.dictionary.detach()[:, 0]
    image = atom / (atom @ free.weights[:, 0])  # drives the neuron by 1
    neuron = torch.tensor([0])
    risen = contrast_response(free, image[None], neuron, [0.5, 1.0, 2.0], 400)
    rest = float(free.rest.exp())
    drives = np.array([0.5, 1.0, 2.0])
    expected = rest * np.exp((drives - float(free.cost)) / 0.5) - rest
    np.testing.assert_allclose(risen[0], expected, rtol=1e-3)
    bound = Circuit(model, "self", step=0.02)
    weaker = contrast_response(bound, image[None], neuron, [0.5, 1.0, 2.0], 4000)
    assert (weaker < risen).all()


def test_masks_act_through_connections_alone() -> None:
    model = IterativePoissonVAE(latents=2, steps=10, beta=0.5, epochs=1).fit(torch.rand(40, 4))
    decoder = model.module_.decoder
    with torch.no_grad():  # two atoms that overlap, and an image that drives the second only
        decoder.dictionary.copy_(torch.tensor([[1.0, 0.6], [0.0, 0.8], [0.0, 0.0], [0.0, 0.0]]))
        model.module_.raw_log_sigma.fill_(0.0)
        model.module_.log_prior.fill_(-3.0)
    own, mask = torch.tensor([[6.0, 0, 0, 0]]), torch.tensor([[0, 6.0, 0, 0]])
    neuron = torch.tensor([0])

    def suppression(lateral: str) -> float:
        circuit = Circuit(model, lateral, step=0.02)  # type: ignore[arg-type]
        return float(mask_suppression(circuit, own, mask, neuron, 1.0, [1.0], 4000)[0, 0])

    assert suppression("all") > 0.1
    assert abs(suppression("self")) < 1e-4
    assert abs(suppression("none")) < 1e-4


def test_stronger_images_are_answered_sooner(
    model: IterativePoissonVAE, images: torch.Tensor
) -> None:
    circuit = Circuit(model, step=0.01)
    image = images[:1] / model.scale_
    neuron = circuit.settle(circuit.drive(image), 2000).argmax(1)
    rises = [float(half_rise(circuit, image, neuron, c, 2000)[0]) for c in (0.5, 1.0, 2.0)]
    assert rises[0] > rises[1] > rises[2] > 0


def test_half_rise_is_read_off_the_course(model: IterativePoissonVAE, images: torch.Tensor) -> None:
    circuit = Circuit(model, step=0.01)
    image = images[:3] / model.scale_
    neurons = circuit.settle(circuit.drive(image), 500).argmax(1)
    state, course = circuit.init(3), []
    for _ in range(500):
        state = circuit.step(state, circuit.drive(image))
        course.append(state.potential[torch.arange(3), neurons].exp())
    rates = torch.stack([circuit.rest[neurons].exp(), *course], 1).double().numpy()
    half = rates[:, 0] + 0.5 * (rates.max(1) - rates[:, 0])
    for row, level, found in zip(
        rates, half, half_rise(circuit, image, neurons, 1.0, 500), strict=True
    ):
        first = int(np.flatnonzero(row >= level)[0])
        expected = first - 1 + (level - row[first - 1]) / (row[first] - row[first - 1])
        assert found == pytest.approx(expected, abs=1e-6)


def test_white_noise_finds_what_a_neuron_reads(model: IterativePoissonVAE) -> None:
    circuit = Circuit(model, step=0.2, spiking=True)
    average, spikes = spike_triggered_average(
        circuit, 300, lags=6, trials=200, contrast=10.0, seed=1
    )
    assert average.shape == (16, 6, 36)
    busy = spikes > 300
    assert busy.sum() >= 4
    atoms = circuit.weights.T.numpy()
    lag = np.linalg.norm(average, axis=2)[busy].argmax(1)
    peak = average[busy, lag]
    found = (peak * atoms[busy]).sum(1) / (
        np.linalg.norm(peak, axis=1) * np.linalg.norm(atoms[busy], axis=1)
    )
    assert np.median(found) > 0.5
    again, _ = spike_triggered_average(circuit, 300, lags=6, trials=200, contrast=10.0, seed=1)
    np.testing.assert_array_equal(again, average)


def test_a_sum_over_lags_is_the_plain_one(model: IterativePoissonVAE) -> None:
    """The streamed average against one over arrays that are all kept."""
    circuit = Circuit(model, step=0.2)
    lags, steps, trials = 3, 20, 4
    average, spikes = spike_triggered_average(
        circuit, steps, lags, trials=trials, warm_up=5, seed=3
    )
    torch.manual_seed(3)
    state = circuit.init(trials)
    frames = [torch.randn(trials, 36) for _ in range(5 + steps)]  # rates draw nothing in between
    outputs = []
    for frame in frames:
        state = circuit.step(state, circuit.drive(frame))
        outputs.append(state.output)
    total = sum(output.sum(0) for output in outputs[5:])
    np.testing.assert_allclose(spikes, total, rtol=1e-5)
    for lag in range(lags):
        expected = sum(outputs[t].T @ frames[t - lag] for t in range(5, 5 + steps))
        np.testing.assert_allclose(average[:, lag], expected / total[:, None], rtol=1e-3, atol=1e-5)


def test_curves_are_fitted_and_sloped() -> None:
    contrasts = [0.1, 0.2, 0.4, 0.8, 1.6]
    c = np.array(contrasts)
    fit = naka_rushton(contrasts, 7.0 * c**1.7 / (c**1.7 + 0.5**1.7))
    assert fit.largest == pytest.approx(7.0, rel=1e-3)
    assert fit.half == pytest.approx(0.5, rel=1e-3)
    assert fit.exponent == pytest.approx(1.7, rel=1e-3)
    assert fit.r2 > 0.999
    assert naka_rushton(contrasts, 3.0 * c).half > 1.6  # a straight line is no saturation
    np.testing.assert_allclose(log_slope(contrasts, [c**0.5, 4 * c**3]), [0.5, 3.0])


def test_what_is_no_such_network_is_refused(
    model: IterativePoissonVAE, images: torch.Tensor
) -> None:
    with pytest.raises(ValueError, match="lateral"):
        Circuit(model, "some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="step"):
        Circuit(model, step=0.0)
    slow = IterativePoissonVAE(latents=4, steps=2, epochs=1, learning="through_time").fit(images)
    with pytest.raises(ValueError, match="closed_form"):
        Circuit(slow)
    with pytest.raises(ValueError, match="lags"):
        spike_triggered_average(Circuit(model), 10, lags=0)
