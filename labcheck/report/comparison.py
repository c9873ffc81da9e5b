"""Two reports beside each other: which verdicts and which arms have moved."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from labcheck.core import drift, verdicts
from labcheck.engine import baselines
from labcheck.report.findings import SCHEMA, number
from labcheck.report.summary import median

Report = Mapping[str, Any]


class ReportError(Exception):
    """A file that is no report which can be read, in a line."""


def read(file: Path) -> dict[str, Any]:
    """A report.json.

    Raises:
        ReportError: there is none, it is not JSON, or it is of another schema.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise ReportError(f"{file}: not JSON") from None
    if not isinstance(content, dict) or "schema" not in content:
        raise ReportError(f"{file}: not a report of labcheck")
    if content["schema"] != SCHEMA:
        raise ReportError(
            f"{file}: schema {content['schema']}, where this labcheck reads {SCHEMA}: run the claims again"
        )
    return content


def compare(old: Report, new: Report) -> list[str]:
    """A line for each verdict and each arm's metric that has moved, and for what only one report has.

    Arms have moved where the drift rule says so: their distributions over seeds differ, which one check in a thousand
    says by chance.
    """
    pairs, only_old, only_new = _paired(old, new)
    lines = [f"only in the first: {_name(claim)}" for claim in only_old]
    lines += [f"only in the second: {_name(claim)}" for claim in only_new]
    for one, other in pairs:
        found = [*_verdicts(one, other), *_arms(one, other)]
        lines += [f"{_name(one, other)}: {line}" for line in found]
    return lines


def measured_on(old: Report, new: Report) -> list[str]:
    """In what the reports' environments and overridden settings differ, in lines."""
    facts = [_facts(old), _facts(new)]
    names = sorted(name for name in facts[0] | facts[1] if facts[0].get(name) != facts[1].get(name))
    return [f"{name}: {' → '.join(', '.join(sorted(one.get(name, ['none']))) for one in facts)}" for name in names]


def _facts(report: Report) -> dict[str, set[str]]:
    """What its claims were measured on: the values that each part of it has."""
    found: dict[str, set[str]] = {}
    for claim in report["claims"]:
        for name, value in {**claim["environment"], **claim["overridden"]}.items():
            found.setdefault(name, set()).add(str(value))
    return found


def _key(claim: Report) -> tuple[str, str, str]:
    return claim["id"], claim["scale"], claim["data"]["name"]


def _paired(old: Report, new: Report) -> tuple[list[tuple[Report, Report]], list[Report], list[Report]]:
    """Claims at the same scale on the same data; of the rest, those that each report has but once."""
    olds, news = ({_key(claim): claim for claim in report["claims"]} for report in (old, new))
    pairs = {key: (claim, news.pop(key)) for key, claim in olds.items() if key in news}
    rest = [claim for key, claim in olds.items() if key not in pairs]
    for claim in list(rest):
        same = [key for key in news if key[0] == claim["id"]]
        if len(same) == 1 and [other["id"] for other in rest].count(claim["id"]) == 1:
            pairs[_key(claim)] = claim, news.pop(same[0])
            rest.remove(claim)
    return [pairs[key] for key in sorted(pairs)], rest, list(news.values())


def _name(one: Report, other: Report | None = None) -> str:
    places = [f"{claim['scale']} on {claim['data']['name']}" for claim in (one, other or one)]
    return f"{one['id']} ({' → '.join(dict.fromkeys(places))})"


def _verdicts(one: Report, other: Report) -> Iterator[str]:
    if one["verdict"] != other["verdict"]:
        yield f"{one['verdict'] or 'not all measured'} → {other['verdict'] or 'not all measured'}"
    olds, news = ({found["name"]: found for found in claim["relations"]} for claim in (one, other))
    for name in olds | news:
        told = [_told(relations.get(name)) for relations in (olds, news)]
        if olds.get(name, {}).get("verdict") != news.get(name, {}).get("verdict"):
            yield f"{name}: {' → '.join(told)}"


def _told(relation: Report | None) -> str:
    if relation is None:
        return "none"
    medians = " : ".join(number(term["median"]) for term in relation["terms"][:2])
    return f"{relation['verdict']} {verdicts.tally(relation)}, median {medians}"


def _arms(one: Report, other: Report) -> Iterator[str]:
    olds, news = ({arm["name"]: arm["metrics"] for arm in claim["arms"]} for claim in (one, other))
    for arm in olds | news:
        if arm not in olds or arm not in news:
            yield f"arm {arm}: only in the {'second' if arm in news else 'first'}"
            continue
        for metric in sorted(olds[arm] | news[arm]):
            if metric not in olds[arm] or metric not in news[arm]:
                yield f"arm {arm}: {metric} only in the {'second' if metric in news[arm] else 'first'}"
                continue
            values = [metrics[arm][metric] for metrics in (olds, news)]
            if drift.moved(*map(baselines.floats, values)):
                kind = other["metrics"][metric]
                yield f"arm {arm}: {metric} {' → '.join(_median(numbers, kind) for numbers in values)}"


def _median(values: Sequence[float | None], metric: Mapping[str, Any]) -> str:
    lost = values.count(None)
    told = f" ({lost} of {len(values)} seeds not finite)" if lost else ""
    return number(median(values, metric), 4) + told
