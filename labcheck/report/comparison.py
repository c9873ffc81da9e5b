"""The comparison of two reports: which verdicts and which arms have changed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from labcheck.core import drift, verdicts
from labcheck.engine import baselines
from labcheck.report.document import SCHEMA
from labcheck.report.formatting import INCOMPLETE, format_number
from labcheck.report.summary import median

Report = Mapping[str, Any]


class ReportError(Exception):
    """A file that cannot be read as a report; the message is one line."""


def read(file: Path) -> dict[str, Any]:
    """Read a report.json.

    Raises:
        ReportError: The file is missing, is not JSON, or has another schema.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise ReportError(f"{file}: not JSON") from None
    if not isinstance(content, dict) or "schema" not in content:
        raise ReportError(f"{file}: not a report by labcheck")
    if content["schema"] != SCHEMA:
        raise ReportError(
            f"{file}: schema {content['schema']}, this version of labcheck reads {SCHEMA}; run the claims again"
        )
    return content


def compare(old: Report, new: Report) -> list[str]:
    """Return a line for each verdict and each metric of an arm that has changed, or that only one report has.

    An arm has changed if the drift rule detects a shift of its distribution over seeds; at most one check in a
    thousand is a false alarm.
    """
    pairs, only_old, only_new = _paired(old, new)
    lines = [f"only in the first: {_name(claim)}" for claim in only_old]
    lines += [f"only in the second: {_name(claim)}" for claim in only_new]
    for one, other in pairs:
        lines += [f"{_name(one, other)}: {line}" for line in (*_verdicts(one, other), *_arms(one, other))]
    return lines


def measured_on(old: Report, new: Report) -> list[str]:
    """Return a line for each difference between the reports' environments and overridden settings."""
    facts = [_facts(old), _facts(new)]
    names = sorted(name for name in facts[0] | facts[1] if facts[0].get(name) != facts[1].get(name))
    return [f"{name}: {' → '.join(', '.join(sorted(one.get(name, ['none']))) for one in facts)}" for name in names]


def _facts(report: Report) -> dict[str, set[str]]:
    """Return all values of each entry of the environments and overridden settings of a report's claims."""
    facts: dict[str, set[str]] = {}
    for claim in report["claims"]:
        for name, value in {**claim["environment"], **claim["overridden"]}.items():
            facts.setdefault(name, set()).add(str(value))
    return facts


def _key(claim: Report) -> tuple[str, str, str]:
    return claim["id"], claim["scale"], claim["data"]["name"]


def _paired(old: Report, new: Report) -> tuple[list[tuple[Report, Report]], list[Report], list[Report]]:
    """Pair claims of the same scale and data, then those of which each report has only one; return the rest, too."""
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
        yield f"{one['verdict'] or INCOMPLETE} → {other['verdict'] or INCOMPLETE}"
    olds, news = ({relation["name"]: relation for relation in claim["relations"]} for claim in (one, other))
    for name in olds | news:
        texts = [_describe(relations.get(name)) for relations in (olds, news)]
        if olds.get(name, {}).get("verdict") != news.get(name, {}).get("verdict"):
            yield f"{name}: {' → '.join(texts)}"


def _describe(relation: Report | None) -> str:
    if relation is None:
        return "none"
    medians = " : ".join(format_number(term["median"]) for term in relation["terms"][:2])
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
            if drift.describe_shift(*map(baselines.floats, values)):
                kind = other["metrics"][metric]
                yield f"arm {arm}: {metric} {' → '.join(_median(numbers, kind) for numbers in values)}"


def _median(values: Sequence[float | None], metric: Mapping[str, Any]) -> str:
    lost = values.count(None)
    remark = f" ({lost} of {len(values)} seeds not finite)" if lost else ""
    return format_number(median(values, metric), 4) + remark
