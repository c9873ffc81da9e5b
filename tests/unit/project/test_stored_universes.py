"""The stored universes of the claims of this repository."""

from functools import cache
from pathlib import Path

import pytest

from labcheck import Claim, Scale
from labcheck.core.verdicts import judge
from labcheck.engine import multiverse
from labcheck.engine.multiverse import Multiverse, grid_of
from labcheck.engine.universe_checks import build_universe_checks, untimed
from tests.helpers.report import MODULES, ROOT, load_claim
from tests.unit.project.test_stored_claims import EMBEDDED, FOLDER, UNIVERSES

LIMITS = {"boston": 36, "curve": 22, "sine": 16, "trig": 16}
"""The largest number of universes with which those of each lab were recorded."""

every_claim = pytest.mark.parametrize("name", sorted(UNIVERSES))


@cache
def claim_of(name: str) -> Claim:
    lab, _, claim = name.partition("/")
    return load_claim(ROOT / "tests" / "claims" / lab / f"test_{claim.replace('-', '_')}.py")


@cache
def stored(name: str) -> Multiverse:
    lab = name.partition("/")[0]
    read = multiverse.read(multiverse.path(Path(FOLDER), name, Scale.QUICK, EMBEDDED[lab]))
    assert read is not None
    return read


@every_claim
def test_universes_are_those_of_the_lab(name: str):
    claim = claim_of(name)
    assert stored(name).claim == name
    assert stored(name).grid == grid_of(claim.lab, Scale.QUICK).plain()
    checks = build_universe_checks(claim, LIMITS[claim.lab.name])
    names = {str(check.subject) for check in checks if check.scale is Scale.QUICK}
    assert set(stored(name).universes) == names


@every_claim
def test_results_in_universes_are_complete(name: str):
    claim = claim_of(name)
    for universe in stored(name).universes.values():
        assert universe["metrics"].keys() == claim.arms.keys()
        assert {len(values) for arm in universe["metrics"].values() for values in arm.values()} == {universe["seeds"]}
        assert universe["relations"].keys() == {relation.name for relation in untimed(claim)}


@every_claim
def test_verdicts_in_universes_follow_from_outcomes(name: str):
    claim = claim_of(name)
    for universe in stored(name).universes.values():
        for relation, outcomes in universe["outcomes"].items():
            judged = universe["relations"][relation]
            assert (outcomes.count("1"), len(outcomes)) == (judged["holds"], judged["n"])
            verdict = judge(judged["holds"], judged["ties"], judged["n"], len(claim.relations)).verdict
            assert str(verdict) == judged["verdict"]


def test_claims_with_universes_exist():
    ids = {load_claim(module).id for module in MODULES}
    assert set(UNIVERSES) <= ids
