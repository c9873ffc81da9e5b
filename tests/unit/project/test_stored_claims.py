"""The claims of this repository and their baselines."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from labcheck import Claim, Scale, Verdict
from labcheck.core.printed import PrintedNumber
from labcheck.core.verdicts import MIN_SEEDS, Judgment, NumberJudgment, combine, judge, judge_number
from labcheck.engine import baselines
from labcheck.engine.baselines import Baseline
from tests.helpers.report import MODULES, ROOT, load_claim

FOLDER = ROOT / "baselines"
CLAIMS = {
    "boston": "activation depth learning-rate optimizer",
    "cifar": "lr-drop train-vs-test",
    "curve": "custom-function epochs learning-rate",
    "fashion": "batch-size best epochs hidden-units learning-rate scratch-vs-torch swaps swaps-xavier",
    "mnist": "augmentation baseline batchnorm depth dropout full-set kernel-size",
    "sine": "activation depth learning-rate scheduler",
    "trig": "activation depth generalization input-powers learning-rate learning-rate-text loss-curve momentum "
    "norm-and-init optimizer printed-log schedule width",
}
"""The claims of each lab."""
EMBEDDED = {
    "boston": "boston",
    "cifar": "stand-in-digits-on-photos",
    "curve": "drawn",
    "fashion": "stand-in-digits",
    "mnist": "mnist-5000",
    "sine": "drawn",
    "trig": "drawn",
}
"""The name of each lab's embedded data."""
FULL_ONLY = {"mnist/baseline", "mnist/full-set"}
"""The claims that cannot be checked at quick scale."""
FULL_SIZE = ["boston", "curve", "sine"]
"""The labs whose claims have baselines at full size."""
RECORDED = {
    f"{lab}/{name}/{scale}-{EMBEDDED[lab]}.json"
    for lab, names in CLAIMS.items()
    for scale in Scale
    for name in names.split()
    if (f"{lab}/{name}" not in FULL_ONLY if scale is Scale.QUICK else lab in FULL_SIZE)
}
"""All baselines. A new one must be added here, such as {"mnist/depth/quick-mnist.json"} for one on real images."""
UNIVERSES = {
    f"{lab}/{name}"
    for lab, names in {
        "boston": "activation depth learning-rate optimizer",
        "curve": "custom-function epochs learning-rate",
        "sine": "activation learning-rate scheduler",
        "trig": "activation depth generalization input-powers learning-rate learning-rate-text loss-curve momentum "
        "norm-and-init optimizer printed-log schedule width",
    }.items()
    for name in names.split()
}
"""The claims whose results in several universes are stored, at quick scale."""
FEWEST_SEEDS = {
    Scale.QUICK: {"mnist": 8, "fashion": 10, "cifar": 8},
    Scale.FULL: {"mnist": 16, "fashion": 10, "cifar": 20},
}
"""The fewest seeds that a claim states as its most, for labs whose training takes long.

The others have 20 at quick scale, 200 at full.
"""
REPLAYS = {"trig/printed-log"}
"""The claims about 20 roundings of one training."""

every_claim = pytest.mark.parametrize("module", MODULES, ids=lambda module: f"{module.parent.name}/{module.stem}")


@cache
def load(module: Path) -> Claim:
    """Return the claim of a module, which is imported once."""
    return load_claim(module)


def parts(file: Path) -> tuple[str, Scale, str]:
    """Return claim, scale and data in the path of a baseline."""
    scale, _, data = file.stem.partition("-")
    return f"{file.parent.parent.name}/{file.parent.name}", Scale(scale), data


def test_labs_have_all_claims() -> None:
    claims = Counter(load(module).id for module in MODULES)
    assert claims == Counter(f"{lab}/{name}" for lab, names in CLAIMS.items() for name in names.split())


@every_claim
def test_module_is_named_after_claim(module: Path) -> None:
    lab, name = load(module).id.split("/")
    assert module == ROOT / "tests" / "claims" / lab / f"test_{name.replace('-', '_')}.py"
    assert load(module).lab.name == lab


@every_claim
def test_claim_has_scales_and_sufficient_seeds(module: Path) -> None:
    claim = load(module)
    assert set(claim.scales) == ({Scale.FULL} if claim.id in FULL_ONLY else {Scale.QUICK, Scale.FULL})
    for scale in claim.scales:
        fewest = 20 if scale is Scale.QUICK or claim.id in REPLAYS else 200
        assert claim.seeds[scale] >= FEWEST_SEEDS[scale].get(claim.lab.name, fewest)


def test_documented_minutes_are_those_of_baselines() -> None:
    """An arm that several claims share counts once, with the seeds of the claim that has the most."""
    seconds: dict[str, dict[str, float]] = {lab: {} for lab in CLAIMS}
    for name in (name for name in RECORDED if f"/{Scale.QUICK}-" in name):
        stored = baselines.read(FOLDER / name)
        arms = seconds[name.partition("/")[0]]
        for arm, spent in stored.cpu_seconds.items():
            settings = json.dumps(stored.arms[arm]["settings"], sort_keys=True)
            arms[settings] = max(arms.get(settings, 0.0), spent)
    minutes = {lab: sum(arms.values()) / 60 for lab, arms in seconds.items()}
    page = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `tests/claims/(\w+)` \| ([\d.]+) \|$", page, re.MULTILINE))
    assert rows == {lab: f"{value:.1f}" for lab, value in minutes.items()}
    assert list(map(float, rows.values())) == sorted(map(float, rows.values()))
    total = f"{sum(minutes.values()):.0f}"
    assert f"| all | {total} |" in page
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"Training takes {total} CPU minutes" in readme
    for lab, value in minutes.items():
        assert f"{lab} {value:.1f}" in readme or f"{lab} {value:.0f}" in readme


def test_exactly_these_baselines_are_stored() -> None:
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    universes = {f"{claim}/universes-quick-{EMBEDDED[claim.partition('/')[0]]}.json" for claim in UNIVERSES}
    assert files == RECORDED | universes


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_baseline_has_all_arms_relations_and_seeds(name: str) -> None:
    id_, scale, data = parts(FOLDER / name)
    [claim] = [claim for claim in map(load, MODULES) if claim.id == id_]
    stored: Baseline = baselines.read(FOLDER / name)
    assert (stored.claim, stored.scale, stored.data["name"]) == (id_, scale, data)
    decided = combine(Verdict(relation["verdict"]) for relation in stored.relations.values())
    assert stored.seeds == claim.seeds[scale] or (decided is not Verdict.INCONCLUSIVE and stored.seeds >= MIN_SEEDS)
    assert stored.arms.keys() == claim.arms.keys()
    assert stored.relations.keys() == {relation.name for relation in claim.relations}
    for arm, results in stored.arms.items():
        assert results["metrics"].keys() == {metric.id for metric in claim.metrics(arm)}
    assert {len(values) for arm in stored.arms.values() for values in arm["metrics"].values()} == {stored.seeds}
    for relation in claim.relations:
        entry = stored.relations[relation.name]
        outcome: Judgment | NumberJudgment
        if isinstance(relation, PrintedNumber):
            outcome = judge_number(entry["below"], entry["equal"], entry["n"], len(claim.relations))
        else:
            outcome = judge(entry["holds"], entry["ties"], entry["n"], len(claim.relations))
        assert (entry["verdict"], entry["tag"]) == (outcome.verdict, outcome.tag)
    if scale is Scale.QUICK:
        labs = claim.configure(scale)
        assert {arm: entry["settings"] for arm, entry in stored.arms.items()} == {
            arm: lab.plain() for arm, lab in labs.items()
        }
        assert stored.data["digest"] == next(iter(labs.values())).data().digest
