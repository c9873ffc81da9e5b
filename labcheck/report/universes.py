"""Universes: what a report contains about the settings on which the verdict on a claim depends."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labcheck.core import sensitivity, verdicts
from labcheck.core.sensitivity import Count
from labcheck.core.universes import ASSUMED, Grid, Levels, resolution
from labcheck.core.variance import common_counts, variance_shares
from labcheck.engine.multiverse import Multiverse
from labcheck.report.formatting import format_setting

MAX_FLIPS = 3
"""The largest number of changes of settings that a sentence lists."""
MIN_FLIPPED = 2
"""The fewest universes with the opposite verdict for which a setting is said to decide it alone."""


def describe(multiverse: Multiverse) -> dict[str, Any]:
    """Return what a report contains about a claim in its universes.

    Returns:
        "grid": the values of each setting that differs between universes, the assumed one first. "size": the number of
        its combinations. "resolution": the generalized resolution of the trained ones, null if they are all of them, or
        if there is no setting. "verdicts": the number of
        universes with each verdict on the claim. "relation": the decisive relation in the assumed universe, or "" if
        that is a printed number. "universes": each of them, ordered by the share of seeds in which this relation holds.
        "variance", "flips", "alone" and "contributions": see `labcheck.core.variance` and `labcheck.core.sensitivity`;
        variance and contributions are those of the relation. "summary": the whole in one sentence.
    """
    varied = {setting for stored in multiverse.universes.values() for setting in stored["settings"]}
    grid = Grid({setting: tuple(values) for setting, values in multiverse.grid.items() if setting in varied})
    levels = {name: grid.universe(stored["settings"]) for name, stored in multiverse.universes.items()}
    judged = {levels[name]: verdict for name, verdict in multiverse.verdicts.items()}
    flips = sensitivity.smallest_flips(grid, judged)
    relation = _decisive(multiverse)
    described = {
        "grid": {setting: list(values) for setting, values in grid.levels.items()},
        "size": grid.size,
        "resolution": resolution(grid, list(levels.values())),
        "verdicts": {str(verdict): count for verdict, count in Counter(judged.values()).items()},
        "relation": relation,
        "universes": _universes(multiverse, relation),
        "variance": _variance(grid, multiverse, levels, relation),
        "flips": [grid.changes(universe) for universe in (flips.universes if flips else ())],
        "alone": {
            lone.setting: list(lone.flipped)
            for lone in sensitivity.flips_alone(grid, judged)
            if sum(judged[grid.assumed].contradicts(verdict) for verdict in judged.values()) >= MIN_FLIPPED
        },
        "contributions": _contributions(grid, multiverse, levels, relation),
    }
    return {**described, "summary": sentence(described)}


def _decisive(multiverse: Multiverse) -> str:
    """Return the decisive relation in the assumed universe, without printed numbers; "" if there is none."""
    assumed = multiverse.universes[ASSUMED]["relations"]
    return verdicts.decisive({name: judged for name, judged in assumed.items() if "holds" in judged}) or ""


def _variance(grid: Grid, multiverse: Multiverse, levels: Mapping[str, Levels], relation: str) -> list[dict[str, Any]]:
    """Return the share of each setting and pair in the variance between universes, the largest first."""
    outcomes = {
        levels[name]: [held == "1" for held in stored["outcomes"][relation]]
        for name, stored in multiverse.universes.items()
        if relation in stored["outcomes"]
    }
    parts = variance_shares(grid, common_counts(outcomes))
    if parts is None:
        return []
    variances = [([setting], variance) for setting, variance in parts.settings.items()]
    variances += [(list(pair), variance) for pair, variance in parts.pairs.items()]
    shares = [(settings, parts.share(variance)) for settings, variance in variances]
    known = [{"settings": settings, "share": share} for settings, share in shares if share is not None]
    return sorted(known, key=lambda part: -part["share"])


def _contributions(
    grid: Grid, multiverse: Multiverse, levels: Mapping[str, Levels], relation: str
) -> list[dict[str, Any]]:
    """Return the contribution of each setting to the difference from the universe in which a relation holds most."""
    counts = {
        levels[name]: Count(judged["holds"], judged["n"])
        for name, stored in multiverse.universes.items()
        if (judged := stored["relations"].get(relation))
    }
    target = max(counts, key=lambda universe: counts[universe].fraction, default=grid.assumed)
    parts = sensitivity.shapley(grid, counts, target) if counts else None
    if parts is None:
        return []
    return [
        {"setting": setting, "value": value, "error": parts.errors[setting]} for setting, value in parts.values.items()
    ]


def _universes(multiverse: Multiverse, relation: str) -> list[dict[str, Any]]:
    """Return name, settings, verdict and seeds of each universe, with counts and interval of a relation."""
    rows = []
    for name, stored in multiverse.universes.items():
        judged = stored["relations"].get(relation)
        counts = {}
        if judged:
            holds, ties, n = (judged[key] for key in ("holds", "ties", "n"))
            ends = verdicts.lower_end(holds, n), verdicts.upper_end(holds + ties, n)
            counts = {"holds": holds, "n": n, **dict(zip(("lower", "upper"), ends, strict=True))}
        verdict = str(multiverse.verdicts[name])
        rows.append(
            {"name": name, "settings": stored["settings"], "verdict": verdict, "seeds": stored["seeds"], **counts}
        )
    return sorted(rows, key=lambda row: (row["holds"] / row["n"] if "n" in row else 0.0, row["name"]))


def sentence(described: Mapping[str, Any]) -> str:
    """Return in one sentence in how many universes a claim has each verdict, and on which setting that depends."""
    text = tally(described["verdicts"])
    if described["alone"]:
        setting, values = next(iter(described["alone"].items()))
        changed = [f"{setting}={format_setting(value)}" for value in values]
        return f"{text}: it depends on {setting} alone, and changes with {_either(changed)}"
    if described["flips"]:
        flips = [
            ", ".join(f"{name}={format_setting(value)}" for name, value in one.items()) for one in described["flips"]
        ]
        return f"{text}; it changes with {_either([*flips[:MAX_FLIPS], *(['…'] if len(flips) > MAX_FLIPS else [])])}"
    return text


def _either(texts: Sequence[str]) -> str:
    return ", ".join(texts[:-1]) + " or " + texts[-1] if len(texts) > 1 else texts[0]


def tally(counts: Mapping[str, int]) -> str:
    """Return the number of universes with each verdict, the most frequent one first."""
    number = sum(counts.values())
    if len(counts) == 1:
        [verdict] = counts
        return f"{verdict} in {f'all {number} universes' if number > 1 else 'the only universe'}"
    [(verdict, most), *others] = Counter(counts).most_common()
    rest = ", ".join(f"{verdict} in {count}" for verdict, count in others)
    return f"{verdict} in {most} of {number} universes, {rest}"
