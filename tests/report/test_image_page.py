"""The page about an image model stands alone and says what the run holds."""

import json
import re
import shutil

import numpy as np
import pytest

from vneuron.imaging import GaussianVAE, IterativePoissonVAE
from vneuron.imaging.portrait import portray
from vneuron.report.image_scores import headline, own_row, score_rows
from vneuron.report.page import write_report
from vneuron.training.run_folder import RunFolder

SECTIONS = [
    "dictionary",
    "reconstructions",
    "spikes",
    "convergence",
    "rate-distortion",
    "training",
    "provenance",
]


def write_run(path, model, images, name="<b>bars"):
    """A run as `vneuron images fit` leaves it."""
    source = {"path": f"/data/{name}.npz", "images": len(images), "command": ["vneuron", "a b"]}
    model.fit(images[:60], run_dir=path, source=source)
    found = portray(model, images[:60], images[60:])
    run = RunFolder.open(path)
    run.write_arrays("portrait.npz", found.arrays)
    metrics = {"scores": found.scores, "codes": found.cost, "rate_distortion": found.trade_off}
    run.write_json("metrics.json", metrics | {"images": 20, "cpu_seconds": {"fit": 1.0}})


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    rows, columns = rng.random((80, 6, 1)) < 0.3, rng.random((80, 1, 6)) < 0.3
    return rows + columns + 0.05 * rng.random((80, 6, 6))


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "run"
    write_run(path, IterativePoissonVAE(latents=12, steps=6, epochs=2), images)
    return path


@pytest.fixture(scope="module")
def html(whole):
    return write_report(whole).read_text("utf-8")


def figures(html):
    found = re.findall(r'class="figure-data" data-for="([\w-]+)">(.*?)</script>', html, re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def test_all_sections_figures_and_pictures_are_there(html):
    ids = re.findall(r'\bid="([\w-]+)"', html)
    assert [name for name in ids if name in SECTIONS] == SECTIONS
    assert len(ids) == len(set(ids))
    places = {"raster", "fidelity", "silence", "change", "trade-off", "val-r2", "val-zeros"}
    assert set(figures(html)) == places
    assert places <= set(ids)
    assert html.count('class="pixels') == 1 + 8 * (1 + 7)
    rasters = re.search(r'id="raster-data">(.*?)</script>', html, re.DOTALL)[1]
    assert np.array(json.loads(rasters)).shape == (8, 12, 24)


def test_nothing_is_asked_of_a_network(html):
    text = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', text) == []
    assert "://" not in re.sub(
        r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL
    )
    assert "default-src 'none'" in html


def test_names_are_text(html):
    assert "<b>bars" not in html
    assert "&lt;b&gt;bars" in html
    assert "vneuron &#39;a b&#39;" in html


def test_the_page_is_made_from_files_alone(whole, html, tmp_path, monkeypatch):
    shutil.copytree(whole, tmp_path / "run")
    monkeypatch.setattr("torch.nn.Module.__init__", None)  # no model can be built
    again = write_report(tmp_path / "run").read_text("utf-8")
    assert again.replace(str(tmp_path / "run"), str(whole)) == html


@pytest.mark.parametrize(
    ("absent", "sentence"),
    [
        (["portrait.npz"], "the run has written no portrait.npz"),
        (["metrics.json"], "No test scores"),
        (["events.jsonl"], "No epoch was completed"),
        (["portrait.npz", "metrics.json", "events.jsonl"], "No test scores"),
    ],
)
def test_what_is_missing_is_said(whole, tmp_path, absent, sentence):
    shutil.copytree(whole, tmp_path / "run")
    for name in absent:
        (tmp_path / "run" / name).unlink()
    html = write_report(tmp_path / "run").read_text("utf-8")
    assert sentence in html
    assert all(f'id="{name}"' in html for name in SECTIONS)


def test_a_model_of_one_step_has_nothing_to_converge(images, tmp_path):
    write_run(tmp_path / "run", GaussianVAE(latents=5, epochs=1), images)
    html = write_report(tmp_path / "run").read_text("utf-8")
    assert "there is nothing to converge" in html
    assert "no price weighs" in html
    assert "<h2>Activity</h2>" in html


def test_an_interrupted_run_says_so(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    with RunFolder.open(tmp_path / "run").events() as events:
        events.write("interrupted", epoch=1)
    assert "was interrupted" in write_report(tmp_path / "run").read_text("utf-8")


def test_the_row_of_its_own_steps_is_the_headline():
    rows = [
        {"step": step, "r2_pooled": step / 10, "r2_pooled_map": 0.9, "zeros": 0.8, "distance": 0.3}
        for step in (1, 4, 8)
    ]
    assert own_row(rows, 4)["step"] == 4
    assert own_row(rows, None)["step"] == 8
    assert own_row([], 4) is None
    assert headline([], None, 4) == []
    cards = headline(rows, None, 4)
    assert cards[0]["value"] == ".400"
    assert "after 4 steps" in cards[0]["note"]
    assert [row["own"] for row in score_rows(rows, 4)] == [False, True, False]
