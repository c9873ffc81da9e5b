"""Claims: sentences of a report that can be false, written so that every seed answers yes, no or tie.

    claim = Claim(
        id="boston/activation",
        statement="ReLU predicts best, then tanh, then sigmoid.",
        source="report boston-mnist, part 1",
        lab=Boston,
        arms={"relu": Arm({"activation": "relu"}), "tanh": Arm({"activation": "tanh"})},
        relations=[beats("relu", "tanh", TEST_MSE)],
    )

A module-level Claim is all that the pytest plugin needs. Nothing here imports torch.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NamedTuple

from labcheck.core.errors import line
from labcheck.core.lab import Lab
from labcheck.core.metrics import CPU_SECONDS, Metric
from labcheck.core.relations import Relation

SCALES = ("quick", "full")
ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


class ClaimError(ValueError):
    """A claim that cannot be judged as it is written."""


class Quoted(NamedTuple):
    """A number that the report prints for an arm, and where."""

    where: str
    metric: Metric
    value: float


@dataclass(frozen=True)
class Arm:
    """One configuration of a lab.

    Attributes:
        settings: those that differ from the lab's defaults.
        quoted: what the report prints for it: place → metric → value.
        replay: whether it is the report's own run again, and its seeds are roundings of that: then its printed numbers
            say nothing of whether other seeds are more runs of the report's experiment.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    quoted: Mapping[str, Mapping[Metric, float]] = field(default_factory=dict)
    replay: bool = False

    @property
    def quotes(self) -> list[Quoted]:
        """Every quoted number."""
        return [
            Quoted(where, metric, float(value))
            for where, numbers in self.quoted.items()
            for metric, value in numbers.items()
        ]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a report, its arms and its relations.

    Attributes:
        id: "<lab>/<claim>".
        statement: the sentence.
        source: where the report says it.
        lab: the lab class whose settings the arms give.
        arms: by name.
        relations: all must hold.
        seeds: how many, at each scale in SCALES.
        notes: what was decided where the report is silent, beyond the lab's open settings.
        comparable: the scales at which the quoted numbers can be compared with ours.
    """

    id: str
    statement: str
    source: str
    lab: type[Lab]
    arms: Mapping[str, Arm]
    relations: Sequence[Relation]
    seeds: Mapping[str, int] = field(default_factory=lambda: {"quick": 60})
    notes: Sequence[str] = ()
    comparable: Sequence[str] = SCALES

    def validate(self) -> None:
        """Check what can be checked without training.

        Raises:
            ClaimError: a relation names an arm that does not exist, two relations have one name, an arm sets what its
                lab does not have or quotes what is no metric or number, a scale is unknown, the id is no path below
                the baselines, something is not of its type, or there is nothing to judge.
        """
        if not isinstance(self.id, str) or not ID.fullmatch(self.id):
            raise ClaimError(f"{self.id!r}: an id is <lab>/<claim>, of letters, digits, '-', '_' and '.'")
        if not isinstance(self.statement, str) or not isinstance(self.source, str):
            raise ClaimError(f"{self.id}: statement and source must be texts")
        self._validate_lab()
        if not isinstance(self.arms, Mapping) or not all(
            isinstance(name, str) and isinstance(arm, Arm) for name, arm in self.arms.items()
        ):
            raise ClaimError(f"{self.id}: arms are an Arm for each name, such as {{'relu': Arm({{…}})}}")
        for name, one in self.arms.items():
            if not isinstance(one.settings, Mapping) or not isinstance(one.quoted, Mapping):
                raise ClaimError(
                    f"{self.id}: arm '{name}': settings must be a dict of them, and quoted a dict of what each place "
                    "prints, such as Arm({'lr': 0.1}, {'Table 1': {TEST_MSE: 9.5}})"
                )
        if not isinstance(self.relations, Sequence) or not all(isinstance(one, Relation) for one in self.relations):
            raise ClaimError(f"{self.id}: relations are a list of them, such as [beats('relu', 'tanh', TEST_MSE)]")
        if isinstance(self.notes, str):
            raise ClaimError(f"{self.id}: notes are a list of sentences")
        if not self.relations:
            raise ClaimError(f"{self.id}: a claim needs at least one relation")
        seeds = self.seeds if isinstance(self.seeds, Mapping) else {}
        if not seeds or not all(scale in SCALES and type(n) is int and n > 0 for scale, n in seeds.items()):
            raise ClaimError(
                f"{self.id}: seeds are a number for each scale, {' or '.join(SCALES)}, such as {{'quick': 20}}, "
                f"not {self.seeds!r}"
            )
        if isinstance(self.comparable, str) or not set(self.comparable) <= {*SCALES}:
            raise ClaimError(
                f"{self.id}: comparable must be a list of the scales {' and '.join(SCALES)}, got {self.comparable!r}"
            )
        names = [relation.name for relation in self.relations]
        if odd := [name for name in [*self.arms, *names] if not name.isprintable() or not name]:
            raise ClaimError(f"{self.id}: names of arms and relations must be printable texts, got {odd[0]!a}")
        for relation in self.relations:
            if names.count(relation.name) > 1:
                raise ClaimError(f"{self.id}: two relations are called '{relation.name}'")
            for arm in relation.arms:
                if arm not in self.arms:
                    raise ClaimError(
                        f"{self.id}: relation '{relation.name}' needs arm '{arm}'; arms are {', '.join(self.arms)}"
                    )
        for name, configuration in self.arms.items():
            try:
                for scale in self.seeds:
                    self.lab.configure(scale, {}, configuration.settings)
            except (TypeError, ValueError) as error:
                raise ClaimError(f"{self.id}: arm '{name}': {error}") from None
            except Exception as error:  # whatever a lab's own check of its settings raises
                raise ClaimError(f"{self.id}: arm '{name}': {line(error)}") from None
            for where, numbers in configuration.quoted.items():
                if not isinstance(numbers, Mapping) or not all(
                    isinstance(metric, Metric) and isinstance(value, Real) for metric, value in numbers.items()
                ):
                    raise ClaimError(
                        f"{self.id}: arm '{name}': what '{where}' prints is a number for each Metric, not {numbers!r}"
                    )

    def _validate_lab(self) -> None:
        if not (isinstance(self.lab, type) and issubclass(self.lab, Lab)):
            raise ClaimError(f"{self.id}: lab must be a subclass of labcheck.core.lab.Lab, got {self.lab!r:.60}")
        try:
            self.lab.validate()
        except ValueError as error:
            raise ClaimError(f"{self.id}: {error}") from None
        if self.lab.name != self.id.partition("/")[0]:
            raise ClaimError(f"{self.id}: the first half of an id must be the lab's name, '{self.lab.name}'")

    @property
    def names(self) -> list[str]:
        """The names of its arms and its relations: what a baseline has results of."""
        return [*self.arms, *(relation.name for relation in self.relations)]

    def given(self, arms: Iterable[str]) -> set[str]:
        """The settings that each of these arms gives itself."""
        return set.intersection(*(set(self.arms[arm].settings) for arm in arms))

    def quotes(self, arm: str, scale: str) -> list[Quoted]:
        """Return the numbers that the report prints for an arm, if they can be compared at this scale."""
        return self.arms[arm].quotes if scale in self.comparable else []

    def metrics(self, arm: str) -> list[Metric]:
        """What is measured of an arm: whatever its relations and its quoted numbers need, each once, but its time."""
        quoted = [number.metric for number in self.arms[arm].quotes]
        terms = [term.metric for relation in self.relations for term in relation.terms if term.arm == arm]
        return list({str(metric): metric for metric in [*quoted, *terms] if metric != CPU_SECONDS}.values())
