"""Boston housing: the report's split, and random splits."""

from typing import Any

import numpy as np
import pytest
import torch

from labcheck.data import boston
from labcheck.labs.boston import Boston

PRINTED = {
    "depth": [(11.1033, 0.8473), (8.0066, 0.8899), (9.2127, 0.8733)],
    "rate": [(6.5521, 0.9099), (9.5214, 0.8691), (19.9742, 0.7253)],
    "activation": [(8.8628, 0.8781), (11.5156, 0.8416), (19.2103, 0.7358)],
    "layers of Adam": [(34.5248, 0.5252), (13.1692, 0.8189), (11.2519, 0.8453)],
    "rates of Adam": [(8.2535, 0.8865), (8.0367, 0.8895), (13.9728, 0.8078), (416.7616, -4.7317)],
    "activations of Adam": [(13.4064, 0.8156), (47.8091, 0.3425), (76.2345, -0.0485)],
}
"""Each test MSE that the report prints for Boston housing, with its R²."""


def test_printed_numbers_have_variance_of_report_test_split():
    """MSE / (1 - R²) is the variance of the values in the test split."""
    assert sum(map(len, PRINTED.values())) == 19
    assert boston.load()[1][boston.report_rows()["test"]].var(correction=0).item() == pytest.approx(72.71144, abs=5e-6)
    for mse, r2 in [pair for table in PRINTED.values() for pair in table]:
        assert mse == pytest.approx(72.71144 * (1 - r2), abs=5e-5 * (72.71144 + 1))  # both are rounded to four decimals


def test_report_split_matches_scikit_learn():
    rows, order = boston.report_rows(), np.random.RandomState(42).permutation(506)
    rest = order[85:][np.random.RandomState(42).permutation(421)]
    assert rows["test"].tolist() == order[:85].tolist()
    assert rows["val"].tolist() == rest[:85].tolist()
    assert rows["train"].tolist() == rest[85:].tolist()


SPLITS = {
    "report": ({}, (336, 85, 85), ["test", "train", "val"]),
    "validation of each seed": ({"validation": "seed"}, (336, 85, 85), ["test"]),
    "seed": ({"split": "seed"}, (338, 84, 84), []),
}
"""By split: the settings, the sizes of train, val and test, and the splits that all seeds share."""


@pytest.mark.parametrize(("settings", "sizes", "shared"), SPLITS.values(), ids=SPLITS)
def test_split_has_six_equal_parts_and_is_standardized(
    settings: dict[str, Any], sizes: tuple[int, ...], shared: list[str]
):
    x, y = boston.load()
    assert (x.shape, y.shape) == ((506, 13), (506, 1))
    splits = Boston(**settings).splits(range(3), torch.float64)
    assert tuple(splits[name].x.shape for name in ("train", "val", "test")) == tuple((3, n, 13) for n in sizes)
    train = splits["train"].x
    torch.testing.assert_close(train.mean(1), torch.zeros(3, 13).double())
    torch.testing.assert_close(train.std(1, correction=0), torch.ones(3, 13).double())
    for k in range(3):
        values = torch.cat([split.y[k] for split in splits.values()])
        torch.testing.assert_close(values.sort(0).values, y.sort(0).values)
    assert sorted(name for name, split in splits.items() if torch.equal(split.y[0], split.y[1])) == shared


@pytest.mark.parametrize("settings", [settings for settings, *_ in SPLITS.values()], ids=SPLITS)
def test_split_of_seed_is_same_in_any_stack(settings: dict[str, Any]):
    together, alone = (Boston(**settings).splits(seeds, torch.float64) for seeds in (range(3), [2]))
    for name, split in alone.items():
        torch.testing.assert_close(split.x[0], together[name].x[2])


def test_features_may_be_standardized_with_all_rows():
    splits = boston.examples(boston.report_rows(), 1, torch.float64, standardize="all")
    x = torch.cat([split.x[0] for split in splits.values()])
    torch.testing.assert_close(x.mean(0), torch.zeros(13, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(13, dtype=torch.float64), rtol=0, atol=1e-9)
    assert splits["train"].x[0].mean(0).abs().max() > 0.01
