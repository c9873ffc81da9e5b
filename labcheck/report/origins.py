"""Origins: which universes the numbers that a report prints for a lab are most compatible with."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from labcheck.core import compatibility
from labcheck.core.compatibility import TRIES, UNUSUAL, PrintedRun, unit_of_last_digit
from labcheck.core.trials import Floats
from labcheck.core.universes import Grid, Levels
from labcheck.engine.baselines import Numbers, floats
from labcheck.engine.multiverse import Multiverse
from labcheck.report.formatting import format_bayes_factor, format_setting

MAX_SHOWN = 5
"""The largest number of universes that are listed."""
Samples = Mapping[tuple[int, ...], Mapping[str, Numbers]]
"""The per-seed numbers of an arm by metric, for each choice of the settings that it does not set itself."""


def origins(multiverses: Iterable[Multiverse]) -> list[dict[str, Any]]:
    """Return what a report contains about the origin of printed numbers, for each lab, scale and data.

    Returns:
        "lab", "scale" and "data". "numbers" and "runs": how many printed numbers, of how many arms, were compared in
        how many "universes". "p": the largest p-value of a universe. "likely": up to five universes that have together
        a posterior probability of 90 %, by name, with their probabilities. "settings": for each setting that the report
        leaves open, the probability of each value, and the Bayes factor of the assumed one. "tries": the probability of
        each number of tries of which the report printed the best. "claims": for each claim, the probability of each
        verdict. "summary": the whole in one sentence.
    """
    labs: dict[tuple[str, str, str], list[Multiverse]] = {}
    for multiverse in multiverses:
        lab = multiverse.claim.partition("/")[0]
        labs.setdefault((lab, multiverse.scale, multiverse.data["name"]), []).append(multiverse)
    described = (_origin(place, group) for place, group in sorted(labs.items()))
    return [one for one in described if one is not None]


def _origin(place: tuple[str, str, str], multiverses: Sequence[Multiverse]) -> dict[str, Any] | None:
    """Return the origin of the printed numbers of a lab; None without numbers or with a single universe."""
    grid = Grid({setting: tuple(values) for setting, values in multiverses[0].grid.items()})
    multiverses = [one for one in multiverses if one.grid == multiverses[0].grid]
    universes = universes_of(grid, multiverses)
    runs = list(printed_runs(grid, multiverses, universes))
    if not runs or len(universes) < 2:
        return None
    result = compatibility.compatibility(runs, len(universes))
    likely = compatibility.credible_set(result.posterior)[:MAX_SHOWN]
    described = {
        **dict(zip(("lab", "scale", "data"), place, strict=True)),
        "numbers": sum(len(run.printed) for run in runs),
        "runs": len(runs),
        "universes": len(universes),
        "p": float(result.p_values.max()),
        "likely": [
            {"name": grid.name(universes[index]), "probability": float(result.posterior[index])} for index in likely
        ],
        "settings": list(_settings(grid, universes, result.posterior)),
        "tries": {str(tries): float(share) for tries, share in zip(TRIES, result.tries, strict=True)},
        "claims": {one.claim: _averaged(grid, one, universes, result.posterior) for one in multiverses},
    }
    return {**described, "summary": sentence(described)}


def universes_of(grid: Grid, multiverses: Iterable[Multiverse]) -> list[Levels]:
    """Return all universes in which a claim of a lab was trained."""
    return sorted({levels for one in multiverses for levels in _levels(grid, one).values()})


def _levels(grid: Grid, multiverse: Multiverse) -> dict[str, Levels]:
    """Return the universe of each name."""
    return {name: grid.universe(stored["settings"]) for name, stored in multiverse.universes.items()}


def printed_runs(grid: Grid, multiverses: Sequence[Multiverse], universes: Sequence[Levels]) -> Iterator[PrintedRun]:
    """Yield a run for each arm with printed numbers; an arm that several claims share is one run."""
    quoted: dict[str, dict[tuple[str, float | None], dict[str, Any]]] = {}
    samples: dict[str, dict[str, list[Floats]]] = {}
    names: dict[str, str] = {}
    for multiverse in multiverses:
        levels = _levels(grid, multiverse)
        for arm, quotes in multiverse.quoted.items():
            key = json.dumps(multiverse.arms[arm], sort_keys=True)
            names.setdefault(key, f"{multiverse.claim} {arm}")
            by_choice = _samples(grid, multiverse, arm, levels)
            found = [by_choice.get(_choice(grid, universe, multiverse.own[arm]), {}) for universe in universes]
            for quote in quotes:
                quoted.setdefault(key, {})[quote["metric"], quote["value"]] = quote
                new = [floats(metrics.get(quote["metric"], [])) for metrics in found]
                old = samples.setdefault(key, {}).get(quote["metric"], new)
                samples[key][quote["metric"]] = [max(pair, key=len) for pair in zip(old, new, strict=True)]
    for key, quotes_of_arm in quoted.items():
        yield _run(names[key], list(quotes_of_arm.values()), samples[key])


def _samples(grid: Grid, multiverse: Multiverse, arm: str, levels: Mapping[str, Levels]) -> Samples:
    return {
        _choice(grid, levels[name], multiverse.own[arm]): stored["metrics"][arm]
        for name, stored in multiverse.universes.items()
        if arm in stored["metrics"]
    }


def _choice(grid: Grid, universe: Levels, own: Sequence[str]) -> tuple[int, ...]:
    """Return the levels of the settings that an arm does not set itself."""
    return tuple(level for setting, level in zip(grid.levels, universe, strict=True) if setting not in own)


def _run(name: str, quotes: Sequence[Mapping[str, Any]], samples: Mapping[str, Sequence[Floats]]) -> PrintedRun:
    """Return the printed numbers of an arm, with the seeds that have all of its metrics."""
    printed = np.array([np.nan if quote["value"] is None else quote["value"] for quote in quotes])
    columns = [samples[quote["metric"]] for quote in quotes]
    joined = []
    for universe in zip(*columns, strict=True):
        seeds = min(map(len, universe))
        joined.append(np.stack([values[:seeds] for values in universe], axis=1))
    units = np.array([unit_of_last_digit(value) if np.isfinite(value) else 0.0 for value in printed])
    log = [bool(quote["ratio"]) for quote in quotes]
    return PrintedRun(name, printed, units, log, bool(quotes[0]["higher_is_better"]), joined)


def _settings(grid: Grid, universes: Sequence[Levels], posterior: Floats) -> Iterator[dict[str, Any]]:
    """Yield the probability of each value of each setting, and the Bayes factor of the assumed one."""
    for index, (setting, values) in enumerate(grid.levels.items()):
        levels = np.array([universe[index] for universe in universes])
        factor = compatibility.bayes_factor(posterior, levels.tolist())
        if np.isfinite(factor):
            shares = [float(posterior[levels == level].sum()) for level in range(len(values))]
            yield {"setting": setting, "values": list(values), "probabilities": shares, "bayes_factor": factor}


def _averaged(grid: Grid, multiverse: Multiverse, universes: Sequence[Levels], posterior: Floats) -> dict[str, float]:
    """Return the probability of each verdict on a claim."""
    fixed = [setting for setting in grid.levels if all(setting in own for own in multiverse.own.values())]
    verdicts = {
        _choice(grid, grid.universe(multiverse.universes[name]["settings"]), fixed): verdict
        for name, verdict in multiverse.verdicts.items()
    }
    known = [verdicts.get(_choice(grid, universe, fixed)) for universe in universes]
    return {str(verdict): share for verdict, share in compatibility.averaged(posterior, known).items()}


def sentence(described: Mapping[str, Any]) -> str:
    """Return in one sentence which settings the printed numbers are most compatible with."""
    numbers = f"{described['numbers']} printed numbers of {described['runs']} runs"
    if described["p"] < UNUSUAL:
        return f"none of the {described['universes']} universes that were tried prints the {numbers} (p < {UNUSUAL:g})"
    best = described["likely"][0]
    text = f"the {numbers} are most compatible with '{best['name']}' ({100 * best['probability']:.0f} %)"
    doubtful = [one for one in described["settings"] if one["bayes_factor"] < 1 / 3]
    if not doubtful:
        return text
    worst = min(doubtful, key=lambda one: one["bayes_factor"])
    value = format_setting(worst["values"][int(np.argmax(worst["probabilities"]))])
    factor = f"Bayes factor {format_bayes_factor(1 / max(worst['bayes_factor'], 1e-9))}"
    return f"{text}; {worst['setting']}={value} is more compatible than the assumed value ({factor})"
