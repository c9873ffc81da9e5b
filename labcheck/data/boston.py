"""Boston housing (Harrison and Rubinfeld 1978): 506 tracts, 13 features, median value in 1000 dollars.

scikit-learn has removed the data set; mlxtend still includes it, so no download is needed.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from mlxtend.data import boston_housing_data
from sklearn.model_selection import train_test_split
from torch import Tensor

from labcheck.data.examples import Examples, permutations

HELD_OUT = 85
"""The size of the report's test split and of its validation split: a sixth of 506, rounded up as in scikit-learn."""
REPORT_SEED = 42
"""The `random_state` of the report's split."""


@cache
def load() -> tuple[Tensor, Tensor]:
    """Return features (506, 13) and values (506, 1) as published, float64."""
    x, y = boston_housing_data()
    return torch.from_numpy(x), torch.from_numpy(y).unsqueeze(1)


def report_rows() -> dict[str, Tensor]:
    """Return the rows of the report's splits: train (336,), val (85,) and test (85,).

    scikit-learn's train_test_split separates the test split, and the same call on the rest the validation split.
    """
    rest, test = train_test_split(np.arange(len(load()[0])), test_size=HELD_OUT, random_state=REPORT_SEED)
    train, val = train_test_split(rest, test_size=HELD_OUT, random_state=REPORT_SEED)
    return {name: torch.from_numpy(rows) for name, rows in (("train", train), ("val", val), ("test", test))}


def redrawn_rows(rngs: list[torch.Generator]) -> dict[str, Tensor]:
    """Return the report's test rows (85,), and train (K, 336) and val (K, 85) drawn from the rest, per generator."""
    report = report_rows()
    rest = torch.cat([report["train"], report["val"]]).sort().values
    val, train = torch.split(rest[permutations(len(rest), rngs)], [HELD_OUT, len(rest) - HELD_OUT], dim=1)
    return {"train": train, "val": val, "test": report["test"]}


def random_rows(rngs: list[torch.Generator]) -> dict[str, Tensor]:
    """Return a random split per generator: four sixths for train (K, 338), a sixth for val and for test (K, 84)."""
    order = permutations(len(load()[0]), rngs)
    sixth = order.shape[1] // 6
    val, test, train = torch.split(order, [sixth, sixth, order.shape[1] - 2 * sixth], dim=1)
    return {"train": train, "val": val, "test": test}


def examples(
    rows: Mapping[str, Tensor], models: int, dtype: torch.dtype = torch.float32, standardize: str = "train"
) -> dict[str, Examples]:
    """Return the examples of K models by split.

    Features are standardized; values are in 1000 dollars.

    Args:
        rows: The rows of each split, (K, N), or (N,) if all models have the same.
        models: The number K of models.
        dtype: The precision of the examples.
        standardize: "train" for the mean and standard deviation of the training split, or "all" for those of all rows.
    """
    x, y = load()
    rows = {split: index.expand(models, -1) for split, index in rows.items()}
    moments_of = x[rows["train"]] if standardize == "train" else x.unsqueeze(0)
    mean, std = moments_of.mean(1, keepdim=True), moments_of.std(1, correction=0, keepdim=True)
    return {split: Examples(((x[index] - mean) / std).to(dtype), y[index].to(dtype)) for split, index in rows.items()}
