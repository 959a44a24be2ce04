"""Info: scalars by name, fetched at once."""

from __future__ import annotations

import torch

from vneuron import Info


def test_values_are_fetched_by_name() -> None:
    info = Info({"a": torch.tensor(1.5), "b": torch.tensor(3)})
    assert info.fetch() == {"a": 1.5, "b": 3.0}
    assert Info({}).fetch() == {}


def test_merging_prefixes_and_keeps_the_order() -> None:
    infos = [Info({"kl": torch.tensor(1.0)}), Info({"beta": torch.tensor(2.0)})]
    assert list(Info.merge(infos, prefix="layer/").values) == ["layer/kl", "layer/beta"]
