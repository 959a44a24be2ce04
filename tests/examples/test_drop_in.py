"""The examples run, and show what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_classifier_is_as_good_as_with_relu_and_doubts_where_it_errs() -> None:
    found = load("classifier").main(steps=400)
    assert found["accuracy_units"] > found["accuracy_relu"] - 0.03
    assert found["doubt_where_wrong"] > 2 * found["doubt_where_right"]
    assert found["living"] > 0.5


def test_the_convolutional_network_is_too_and_doubts_where_it_errs() -> None:
    found = load("convnet").main()
    assert found["accuracy_units"] > found["accuracy_relu"] - 0.05
    assert found["doubt_where_wrong"] > 2 * found["doubt_where_right"]
    assert found["alive"] > 0.5
    assert found["living"] > 0.4
