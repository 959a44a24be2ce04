"""`vneuron images`: fits, codes, scores and pages from every kind of input, and what goes wrong."""

import gzip
import json
import shutil
import struct

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vneuron.training.run_folder import RunFolder

SMALL = ["--latents", "12", "--steps", "6", "--epochs", "2", "--device", "cpu"]


def bars(n=60, h=6, w=6):
    """Sparse mixtures of bars, as bytes."""
    rng = np.random.default_rng(0)
    rows, columns = rng.random((n, h, 1)) < 0.3, rng.random((n, 1, w)) < 0.3
    return (120 * rows + 120 * columns + rng.integers(0, 15, (n, h, w))).astype(np.uint8)


def pictures(folder, images, mode=None):
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image, mode).save(folder / f"{number:03d}.png")


def idx(images):
    return struct.pack(">BBBB3I", 0, 0, 8, 3, *images.shape) + images.tobytes()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, vneuron):
    """`vneuron images fit bars.npz --json`, once; do not change the run."""
    folder = tmp_path_factory.mktemp("images")
    np.savez(folder / "bars.npz", images=bars())
    said = vneuron("images", "fit", folder / "bars.npz", *SMALL, "--out", folder / "run", "--json")
    assert said.code == 0, said.err
    return folder, said


def fields(value):
    """A JSON object without what differs between runs of the same kind."""
    return {k: v for k, v in value.items() if k not in ("seconds", "cpu_seconds", "run", "notes")}


def test_a_fit_fills_its_folder_and_prints_one_object(fitted):
    folder, said = fitted
    found = said.json
    assert found["model"] == "iterative-poisson"
    assert found["outcome"] == "completed"
    assert found["images"] == 6
    assert [row["step"] for row in found["scores"]] == [1, 2, 4, 6, 8, 16, 24]
    assert found["codes"]["dense"] == 12 * 36
    assert found["rate_distortion"]["parameter"] == "beta"
    run = RunFolder.open(folder / "run")
    run.verify()
    for name in ("metrics.json", "codes.npz", "portrait.npz", "report.html"):
        assert run.exists(name), name
    codes = run.read_arrays("codes.npz")["codes"]
    assert codes.shape == (6, 12)
    assert codes.dtype == np.int32
    events = [event["event"] for event in run.read_events()]
    assert events == ["start", "epoch", "epoch", "stop"]
    page = (folder / "run" / "report.html").read_text("utf-8")
    assert "<h1>bars</h1>" in page


def test_every_kind_of_file_gives_the_same_fit(fitted, vneuron, place):
    _, said = fitted
    images = bars()
    np.save("a.npy", images)
    (place / "a-idx3-ubyte").write_bytes(idx(images))
    (place / "b.gz").write_bytes(gzip.compress(idx(images)))
    pictures(place / "folder", images)
    for name in ("a.npy", "a-idx3-ubyte", "b.gz", "folder"):
        other = vneuron("images", "fit", name, *SMALL, "--out", f"run-{name}", "--json", "--quiet")
        assert other.code == 0, other.err
        assert other.err == ""
        assert fields(other.json) == fields(said.json), name


@pytest.mark.parametrize(
    "model",
    ["iterative-gaussian", "sparse-coding", "predictive-coding", "poisson", "gaussian", "laplace",
     "categorical", "iterative-amortised", "semi-amortised"],
)  # fmt: skip
def test_every_model_can_be_fitted_and_used(model, vneuron, place):
    np.save("a.npy", bars(30))
    size = [] if model in ("poisson", "gaussian", "laplace", "categorical") else ["--steps", "4"]
    arguments = ["--latents", "12", *size, "--epochs", "1", "--device", "cpu", "--json"]
    said = vneuron("images", "fit", "a.npy", "--model", model, *arguments, "--out", "run")
    assert said.code == 0, said.err
    assert said.json["outcome"] == "completed"
    coded = vneuron("images", "encode", "run", "a.npy", "--json")
    assert coded.json["images"] == 30
    assert coded.json["type"] == ("int32" if said.json["codes"] else "float32")


def test_arguments_of_the_model_by_name(vneuron, place):
    np.save("a.npy", bars(30))
    said = vneuron("images", "fit", "a.npy", *SMALL, "--beta", "0.3", "--set", "noise=pixel",
                   "--set", "prior_rate=None", "--out", "run", "--quiet")  # fmt: skip
    assert said.code == 0, said.err
    model = RunFolder.open("run").read_json("config.json")["model"]
    assert (model["beta"], model["noise"], model["prior_rate"]) == (0.3, "pixel", None)


def test_codes_are_whole_counts_that_follow_the_seed(fitted, vneuron, place):
    folder, _ = fitted
    np.save("new.npy", bars(9)[:, ::-1])
    run = folder / "run"
    for name in ("a.npz", "b.npz", "c.parquet"):
        said = vneuron("images", "encode", run, "new.npy", "--out", name, "--steps", "20")
        assert said.code == 0, said.err
        assert said.out == ""
    a, b = (np.load(name, allow_pickle=False)["codes"] for name in ("a.npz", "b.npz"))
    assert a.shape == (9, 12)
    assert np.issubdtype(a.dtype, np.integer)
    np.testing.assert_array_equal(a, b)
    table = pd.read_parquet("c.parquet")
    assert list(table.columns[:2]) == ["z0", "z1"]
    np.testing.assert_array_equal(table.to_numpy(), a)
    vneuron("images", "encode", run, "new.npy", "--out", "d.npz", "--steps", "20", "--seed", "9")
    assert not np.array_equal(np.load("d.npz")["codes"], a)
    vneuron("images", "encode", run, "new.npy", "--out", "e.npz", "--kind", "mean")
    assert np.load("e.npz")["codes"].dtype == np.float32


def test_scores_of_new_images_and_of_the_fits_own(fitted, vneuron, place):
    folder, said = fitted
    np.save("new.npy", bars(9))
    found = vneuron("images", "score", folder / "run", "new.npy", "--steps", "3", "--steps", "12",
                    "--json")  # fmt: skip
    assert found.code == 0, found.err
    assert [row["step"] for row in found.json["scores"]] == [3, 12]
    assert found.json["images"] == 9
    own = vneuron("images", "score", folder / "run", "--json")
    assert own.json["scores"] == said.json["scores"]
    table = vneuron("images", "score", folder / "run")
    assert "zeros" in table.out
    assert table.err == ""


def test_the_page_is_made_again_by_both_verbs(fitted, vneuron, place):
    shutil.copytree(fitted[0] / "run", "run")
    before = (place / "run" / "report.html").read_text("utf-8").replace(str(fitted[0] / "run"), "")
    for verb in (["images", "report"], ["report"]):
        (place / "run" / "report.html").unlink()
        said = vneuron(*verb, "run")
        assert said.code == 0, said.err
        assert said.out.strip().endswith("report.html")
        after = (place / "run" / "report.html").read_text("utf-8")
        assert len(after) == pytest.approx(len(before), abs=200)


def test_facts_of_a_run_of_images(fitted, vneuron):
    said = vneuron("info", fitted[0] / "run", "--json")
    assert said.code == 0, said.err
    assert said.json["model"] == "IterativePoissonVAE"
    assert said.json["latents"] == 12
    for verb in (["forecast"], ["health"], ["evaluate"]):
        data = [fitted[0] / "bars.npz"] if verb == ["evaluate"] else []
        other = vneuron(*verb, fitted[0] / "run", *data)
        assert other.code == 2
        assert other.err.count("\n") == 1
        assert "images" in other.err


def test_photographs_are_cut_into_patches_and_codes_tile_new_pictures(vneuron, place):
    said = vneuron("images", "fit", "photographs", "--patches", "300", "--patch-size", "8", *SMALL,
                   "--out", "run", "--json")  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["images"] == 30
    assert any("patches" in note for note in said.json["notes"])
    assert any("colour" in note for note in said.json["notes"])
    rng = np.random.default_rng(0)
    pictures(place / "new", rng.integers(0, 255, (2, 100, 84, 3), dtype=np.uint8))
    coded = vneuron("images", "encode", "run", "new", "--json")
    assert coded.code == 0, coded.err
    assert coded.json["images"] == 2 * ((100 - 16) // 8) * ((84 - 16) // 8)
    assert "note: 2 of 2 pictures are in colour" in coded.err
    scored = vneuron("images", "score", "run", "new", "--steps", "6", "--json")
    assert scored.code == 0, scored.err


def test_the_embedded_default_is_the_digits(vneuron, place):
    said = vneuron("images", "fit", "--limit", "80", "--latents", "16", "--epochs", "1", "--quiet",
                   "--json")  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["run"] == "runs/digits"
    assert said.json["images"] == 8


def test_wide_images_and_rows_of_pixels(vneuron, place):
    np.save("wide.npy", bars(30, 5, 9))
    np.save("rows.npy", bars(30).reshape(30, -1))
    np.save("odd.npy", bars(30).reshape(30, -1)[:, :35])
    for name in ("wide.npy", "rows.npy", "odd.npy"):
        said = vneuron("images", "fit", name, *SMALL, "--out", f"run-{name}", "--json", "--quiet")
        assert said.code == 0, said.err
        assert (place / f"run-{name}" / "report.html").exists()


def test_images_without_any_contrast(vneuron, place):
    np.save("flat.npy", np.full((20, 4, 4), 7, dtype=np.uint8))
    said = vneuron("images", "fit", "flat.npy", *SMALL, "--out", "run", "--json")
    assert said.code == 0, said.err
    assert all(row["r2"] is None for row in said.json["scores"])


# -- what users get wrong --------------------------------------------------------------------------


def nothing(place):
    pass


def empty_folder(place):
    (place / "a").mkdir()


def mixed(place):
    pictures(place / "a", [bars(1)[0], bars(1, 6, 7)[0]])


def corrupt(place):
    pictures(place / "a", bars(5))
    whole = (place / "a" / "002.png").read_bytes()
    (place / "a" / "002.png").write_bytes(whole[:40])


def not_a_picture(place):
    pictures(place / "a", bars(5))
    (place / "a" / "003.png").write_bytes(b"text")


def nan(place):
    images = bars().astype(float)
    images[4, 1, 1] = np.nan
    np.save("a.npy", images)


def one(place):
    np.save("a.npy", bars(1))


def two(place):
    np.save("a.npy", bars(2))


def none(place):
    np.save("a.npy", bars()[:0])


def labels(place):
    np.save("a.npy", np.arange(9))


def objects(place):
    np.save("a.npy", np.array([{}, {}], dtype=object))


def two_arrays(place):
    np.savez("a.npz", x=bars(), y=bars())


def broken_npz(place):
    (place / "a.npz").write_bytes(b"PK\x03\x04 and no more")


def broken_npy(place):
    np.save("whole.npy", bars())
    (place / "a.npy").write_bytes((place / "whole.npy").read_bytes()[:-100])
    (place / "whole.npy").unlink()


def empty_file(place):
    (place / "a.npy").write_bytes(b"")


def cut_gzip(place):
    (place / "a-idx3.gz").write_bytes(gzip.compress(idx(bars()))[:-30])


def broken_zip(place):
    (place / "a.zip").write_bytes(b"PK\x03\x04 and no more")


def text_file(place):
    (place / "a.txt").write_text("no image")


def channels(place):
    np.save("a.npy", np.zeros((9, 5, 4, 4, 2)))


def five_channels(place):
    np.save("a.npy", np.ones((9, 4, 4, 5)))


def good(place):
    np.save("a.npy", bars())


CASES = {
    "no such file": (nothing, "a.npy", [], ["a.npy: no such file"]),
    "no such folder": (nothing, "none/", [], ["none", "no such file or folder"]),
    "empty folder": (empty_folder, "a", [], ["a: holds no picture"]),
    "mixed sizes": (mixed, "a", [], ["001.png", "7 x 6", "6 x 6", "one size"]),
    "a picture cut short": (corrupt, "a", [], ["002.png", "cannot be read"]),
    "text in a picture": (not_a_picture, "a", [], ["003.png", "cannot be read"]),
    "NaN": (nan, "a.npy", [], ["a.npy: image 4", "not finite"]),
    "one image": (one, "a.npy", [], ["a.npy: holds 1 image", "at least 3"]),
    "two images": (two, "a.npy", [], ["a.npy: holds 2 image", "at least 3"]),
    "no image": (none, "a.npy", [], ["a.npy", "(0, 6, 6)"]),
    "labels": (labels, "a.npy", [], ["a.npy", "(9,)"]),
    "objects": (objects, "a.npy", [], ["a.npy: cannot be read"]),
    "two arrays": (two_arrays, "a.npz", [], ["a.npz", "['x', 'y']", "key"]),
    "no such key": (two_arrays, "a.npz", ["--key", "z"], ["a.npz", "'z'"]),
    "broken npz": (broken_npz, "a.npz", [], ["a.npz: cannot be read"]),
    "npy cut short": (broken_npy, "a.npy", [], ["a.npy: cannot be read"]),
    "empty file": (empty_file, "a.npy", [], ["a.npy: cannot be read"]),
    "gzip cut short": (cut_gzip, "a-idx3.gz", [], ["a-idx3.gz", "cut short"]),
    "broken zip": (broken_zip, "a.zip", [], ["a.zip", "pack it again"]),
    "text": (text_file, "a.txt", [], ["a.txt: not a kind"]),
    "five axes": (channels, "a.npy", [], ["a.npy", "(9, 5, 4, 4, 2)"]),
    "five channels": (five_channels, "a.npy", [], ["a.npy", "channels"]),
    "no such model": (good, "a.npy", ["--model", "vae"], ["'vae'", "iterative-poisson"]),
    "not the model's": (
        good, "a.npy", ["--model", "sparse-coding", "--beta", "1"], ["has no beta", "penalty"],
    ),
    "no setting": (good, "a.npy", ["--set", "beta"], ["'beta'", "NAME=VALUE"]),
    "unknown setting": (good, "a.npy", ["--set", "colour=red"], ["has no colour"]),
    "no latents": (good, "a.npy", ["--latents", "0"], ["latents is 0"]),
    "no steps": (good, "a.npy", ["--steps", "0"], ["steps is 0"]),
    "no epochs": (good, "a.npy", ["--epochs", "0"], ["epochs is 0"]),
    "no batch": (good, "a.npy", ["--batch-size", "0"], ["batch_size is 0"]),
    "beta": (good, "a.npy", ["--beta", "-1"], ["beta is -1"]),
    "beta that is no number": (good, "a.npy", ["--beta", "nan"], ["beta is nan"]),
    "test size": (good, "a.npy", ["--test-size", "1"], ["test_size is 1"]),
    "limit": (good, "a.npy", ["--limit", "0"], ["limit is 0"]),
    "patches": (good, "a.npy", ["--patches", "-5"], ["patches is -5"]),
    "patches too large": (good, "a.npy", ["--patches", "9"], ["a.npy", "16", "6 x 6"]),
    "contrast": (
        good, "a.npy", ["--patches", "9", "--patch-size", "2", "--min-contrast", "99"],
        ["a.npy", "contrast"],
    ),
    "device": (good, "a.npy", ["--device", "abacus"], ["device is 'abacus'"]),
    "out is a file": (good, "a.npy", ["--out", "a.npy"], ["a.npy is a file"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_fit_says_what_is_wrong(vneuron, place, case):
    make, name, options, parts = CASES[case]
    make(place)
    before = sorted(place.rglob("*"))
    said = vneuron("images", "fit", name, *SMALL, "--out", "runs/a", *options, "--quiet")
    assert said.code == 2, said.err
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("vneuron: ")
    for part in parts:
        assert part in said.err, said.err
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["encode", "absent", "NEW"], ["absent: no such folder"]),
        (["score", "absent"], ["absent: no such folder"]),
        (["report", "absent"], ["absent: no such folder"]),
        (["encode", "RUN"], ["DATA"]),
        (["encode", "RUN", "absent.npy"], ["absent.npy"]),
        (["encode", "RUN", "WIDE"], ["9 x 5 pixels", "6 x 6 pixels", "resize"]),
        (["encode", "RUN", "NEW", "--out", "a.txt"], [".npz or .parquet"]),
        (["encode", "RUN", "NEW", "--out", "none/a.npz"], ["no folder none"]),
        (["encode", "RUN", "NEW", "--steps", "0"], ["steps is 0"]),
        (["encode", "RUN", "NEW", "--kind", "median"], ["kind is 'median'"]),
        (["encode", "RUN", "NEW", "--device", "abacus"], ["device is 'abacus'"]),
        (["score", "RUN", "NEW", "--steps", "0"], ["steps"]),
        (["fly"], ["No such command 'fly'"]),
    ],
)
def test_other_verbs_say_what_is_wrong(fitted, vneuron, tmp_path_factory, place, arguments, parts):
    data = tmp_path_factory.mktemp("data")
    np.save(data / "new.npy", bars(5))
    np.save(data / "wide.npy", bars(5, 5, 9))
    names = {"RUN": fitted[0] / "run", "NEW": data / "new.npy", "WIDE": data / "wide.npy"}
    said = vneuron("images", *(names.get(a, a) for a in arguments))
    assert said.code == 2
    assert said.err.count("\n") == 1, said.err
    for part in parts:
        assert part in said.err, said.err
    assert list(place.iterdir()) == []


def test_a_run_of_forecasts_is_none_of_images(vneuron, place):
    RunFolder.create("run").write_json("config.json", {"vneuron": "0", "model": {}, "data": {}})
    np.save("a.npy", bars(5))
    said = vneuron("images", "encode", "run", "a.npy")
    assert said.code == 2
    assert "no image model" in said.err


def test_a_folder_is_not_written_over_unless_asked(fitted, vneuron, place):
    shutil.copytree(fitted[0] / "run", "run")
    data = fitted[0] / "bars.npz"
    said = vneuron("images", "fit", data, *SMALL, "--out", "run")
    assert said.code == 2
    assert "earlier run" in said.err
    other = vneuron("images", "fit", data, *SMALL, "--out", "run", "--beta", "2", "--resume")
    assert other.code == 2
    assert "beta = None, now 2.0" in other.err
    np.save("other.npy", bars(40))
    images = vneuron("images", "fit", "other.npy", *SMALL, "--out", "run", "--resume")
    assert images.code == 2
    again = vneuron("images", "fit", data, *SMALL, "--out", "run", "--resume", "--json")
    assert again.code == 0, again.err
    assert fields(again.json) == fields(fitted[1].json)
    new = vneuron("images", "fit", data, *SMALL, "--out", "run", "--beta", "2", "--overwrite")
    assert new.code == 0, new.err
    assert json.loads((place / "run" / "config.json").read_text())["model"]["beta"] == 2.0
