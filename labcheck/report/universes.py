"""Universes: what a report contains about the settings on which the verdict on a claim depends."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from labcheck.core import sensitivity, verdicts
from labcheck.core.sensitivity import Counts, Results
from labcheck.core.universes import Grid, Levels
from labcheck.core.verdicts import Verdict
from labcheck.engine.multiverse import Multiverse
from labcheck.report.formatting import format_setting


def describe(multiverse: Multiverse) -> dict[str, Any]:
    """Return what a report contains about a claim in its universes.

    Returns:
        "grid": the values of each setting that the report leaves open, the assumed one first. "verdicts": the number of
        universes with each verdict on the claim. "relation": the decisive relation in the assumed universe, or "" if
        that is a printed number. "universes": each of them, ordered by the share of seeds in which this relation holds.
        "variance", "flips", "alone" and "contributions": see `labcheck.core.sensitivity`; the variance and the
        contributions are those of the relation. "summary": the whole in one sentence.
    """
    grid = Grid({setting: tuple(values) for setting, values in multiverse.grid.items()})
    levels = {name: grid.universe(stored["settings"]) for name, stored in multiverse.universes.items()}
    judged = multiverse.verdicts
    claim = {levels[name]: Counts(0, 1, verdict) for name, verdict in judged.items()}
    relation, counts = _decisive(multiverse, levels)
    flips = sensitivity.smallest_flips(grid, claim)
    alone = sensitivity.decides_alone(grid, claim)
    target = max(counts, key=lambda universe: counts[universe].share, default=grid.assumed)
    contributions = sensitivity.shapley(grid, counts, target) if relation else None
    described = {
        "grid": multiverse.grid,
        "verdicts": {str(verdict): count for verdict, count in Counter(judged.values()).items()},
        "relation": relation,
        "universes": _universes(multiverse, relation),
        "variance": [asdict(part) for part in (relation and sensitivity.variance_shares(grid, counts)) or ()],
        "flips": [grid.settings(universe) for universe in flips],
        "alone": {setting: [multiverse.grid[setting][level] for level in chosen] for setting, chosen in alone.items()},
        "contributions": [asdict(part) for part in contributions or ()],
    }
    return {**described, "summary": sentence(described)}


def _decisive(multiverse: Multiverse, levels: Mapping[str, Levels]) -> tuple[str, Results]:
    """Return the decisive relation in the assumed universe, and its counts in each universe."""
    [assumed] = [stored for stored in multiverse.universes.values() if not stored["settings"]]
    shares = {name: judged for name, judged in assumed["relations"].items() if "holds" in judged}
    relation = verdicts.decisive(shares) or ""
    counts = {
        levels[name]: Counts(judged["holds"], judged["n"], Verdict(judged["verdict"]))
        for name, stored in multiverse.universes.items()
        if (judged := stored["relations"].get(relation))
    }
    return relation, counts


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
        return f"{text}: it depends on {setting} alone, and changes with {_values(values)}"
    if described["flips"]:
        flips = [
            ", ".join(f"{name}={format_setting(value)}" for name, value in one.items()) for one in described["flips"]
        ]
        return f"{text}; it changes with {_values(flips)}"
    return text


def _values(values: Sequence[Any]) -> str:
    texts = [format_setting(value) for value in values]
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
