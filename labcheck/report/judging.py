"""Verdicts on counts and on tables, without claims and baselines: the command `labcheck judge`."""

from dataclasses import asdict
from pathlib import Path

from labcheck.core import metrics, verdicts
from labcheck.core.comparisons import beats
from labcheck.core.verdicts import Judgment
from labcheck.data import tables
from labcheck.engine import results
from labcheck.report.formatting import format_evidence, format_number


def judge_counts(holds: int, n: int, ties: int = 0) -> str:
    """Return the verdict on a relation that holds in `holds` of n seeds and is a tie in others, in one line.

    Raises:
        ValueError: The counts are impossible.
    """
    if n < 1 or min(holds, ties) < 0 or holds + ties > n:
        raise ValueError(
            f"impossible counts: {holds} holds and {ties} ties in {n} seeds; correct --holds, --ties or --of"
        )
    return _sentence(verdicts.judge(holds, ties, n))


def judge_table(table: Path, seed: str, arms: str, metric: str, higher_is_better: bool) -> str:
    """Return the verdict on whether the first of two arms in a table beats the second, in one line.

    Args:
        table: The file, as `labcheck.Table` reads it.
        seed: The column with the labels of the seeds.
        arms: A column and two of its values, such as "model=resnet,vgg".
        metric: The column to compare.
        higher_is_better: Whether higher values are better, and are compared by difference instead of by ratio.

    Raises:
        DataError: The file cannot be read.
        ValueError: `arms` has another form, or the rows cannot be compared.
        MetricError: The column has negative values, which have no ratio.
    """
    column, equals, values = arms.partition("=")
    names = values.split(",")
    if not equals or len(names) != 2 or len(set(names)) != 2:
        raise ValueError(f"--arms must be a column and two of its values, such as model=resnet,vgg, got {arms!r}")
    lab = tables.of_file(table, seed=seed, remedy="name it with --seed COLUMN")
    labs = {name: lab.configure("quick", {column: name}) for name in names}
    lab.validate_arms(labs, {name: [metric] for name in names})
    term = (metrics.score if higher_is_better else metrics.error)(metric)
    trials = {}
    for name, arm in labs.items():
        seeds = range(len(arm.seed_labels()))
        trials[name] = results.checked(arm.train(seeds), seeds)
    relation = beats(names[0], names[1], term)
    holds, ties, _ = relation.decide(trials)
    medians = " : ".join(format_number(term.median(term.of(trials[name]))) for name in names)
    judgment = verdicts.judge(int(holds.sum()), int(ties.sum()), len(holds))
    return f"{_sentence(judgment)}; {relation.name}, medians {medians}"


def _sentence(judgment: Judgment) -> str:
    text = f"{judgment}, {format_evidence({**asdict(judgment), 'relations': 1})}"
    needed = verdicts.seeds_to_decide(judgment)
    return f"{text}; about {needed} seeds would decide" if needed else text
