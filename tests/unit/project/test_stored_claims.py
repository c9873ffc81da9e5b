"""The claims of this repository and the files that belong to them."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from labcheck.core.claims import Claim
from labcheck.engine import baselines

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "tests" / "claims").rglob("test_*.py"))
LEAST = {"quick": {"mnist": 8, "fashion": 10, "cifar": 5}, "full": {"mnist": 5, "fashion": 10, "cifar": 5}}
"""The fewest seeds, where a training takes long; elsewhere 20 at quick scale and 200 at full size."""
REPLAYS = {"trig/printed-log"}
"""Claims whose seeds are 20 roundings of one training."""
REAL = {"mnist": "mnist", "fashion": "fashion-mnist", "cifar": "cifar10-jpeg"}
"""What results on a lab's real data are called."""


def claim(module: Path) -> Claim:
    spec = importlib.util.spec_from_file_location(module.stem, module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded.claim


def files(found: Claim) -> dict[Path, str]:
    """A claim's baselines, and their scales; at full size there is only real data."""
    real = REAL.get(found.lab.name, found.lab().data().name)
    return {
        baselines.path(ROOT / "baselines", found.id, scale, name): scale
        for scale in found.seeds
        for name in {real, found.lab().data().name if scale == "quick" else real}
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda module: f"{module.parent.name}/{module.stem}")
def test_a_claim_is_where_its_id_says(module: Path) -> None:
    lab, name = claim(module).id.split("/")
    assert module == ROOT / "tests" / "claims" / lab / f"test_{name.replace('-', '_')}.py"
    assert claim(module).lab.name == lab


@pytest.mark.parametrize("module", MODULES, ids=lambda module: f"{module.parent.name}/{module.stem}")
def test_a_claim_has_a_baseline_of_all_its_seeds(module: Path) -> None:
    found = claim(module)
    embedded = baselines.path(ROOT / "baselines", found.id, "quick", found.lab().data().name)
    assert embedded.exists() == ("quick" in found.seeds)
    for file, scale in files(found).items():
        if file != embedded and not file.exists():
            continue  # real images and full size take hours to record, and a run without a baseline says how
        stored = baselines.read(file)
        fewest = 20 if scale == "quick" or found.id in REPLAYS else 200
        assert stored.seeds == found.seeds[scale] >= LEAST[scale].get(found.lab.name, fewest)
        assert stored.arms.keys() == found.arms.keys()
        assert stored.relations.keys() == {relation.name for relation in found.relations}


def test_every_claim_of_the_labs_is_there() -> None:
    labs = Counter(claim(module).id.partition("/")[0] for module in MODULES)
    assert labs == {"trig": 13, "boston": 4, "sine": 4, "curve": 3, "mnist": 7, "fashion": 8, "cifar": 2}


def test_no_baseline_is_without_a_claim() -> None:
    used = [file for module in MODULES for file in files(claim(module))]
    assert baselines.unused(ROOT / "baselines", used) == []
