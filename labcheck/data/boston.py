"""Boston housing (Harrison and Rubinfeld 1978): 506 tracts, 13 features, median value in 1000 dollars.

scikit-learn dropped the set; mlxtend still carries it, so that no download is needed.
"""

from functools import cache

import torch
from mlxtend.data import boston_housing_data
from torch import Tensor

from labcheck.data.examples import Examples, permutations


@cache
def load() -> tuple[Tensor, Tensor]:
    """Features (506, 13) and values (506, 1), float64, as published."""
    x, y = boston_housing_data()
    return torch.from_numpy(x), torch.from_numpy(y).unsqueeze(1)


def split(generators: list[torch.Generator], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
    """Six equal parts at random for each generator: four to train (338 rows), one each to validate and test (84).

    Features are standardised with the mean and standard deviation of the training part; values stay in 1000 dollars.
    """
    x, y = load()
    order = permutations(len(x), generators)
    sixth = len(x) // 6
    val, test, train = torch.split(order, [sixth, sixth, len(x) - 2 * sixth], dim=1)
    mean, std = x[train].mean(1, keepdim=True), x[train].std(1, correction=0, keepdim=True)
    return {
        part: Examples(((x[rows] - mean) / std).to(dtype), y[rows].to(dtype))
        for part, rows in {"train": train, "val": val, "test": test}.items()
    }
