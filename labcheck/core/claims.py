"""Claims: sentences of a report that can be false, with the arms and relations that test them.

    claim = Claim(
        id="boston/activation",
        statement="ReLU predicts better than tanh.",
        citation="report boston-mnist, part 1",
        lab=Boston,
        arms={"relu": Arm({"activation": "relu"}), "tanh": Arm({"activation": "tanh"})},
        relations=[beats("relu", "tanh", TEST_MSE)],
    )

A module-level Claim is all that the pytest plugin needs.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NamedTuple

from labcheck.core.errors import line
from labcheck.core.lab import Lab
from labcheck.core.metrics import CPU_SECONDS, Metric
from labcheck.core.relations import Relation
from labcheck.core.scales import Scale
from labcheck.core.settings import FrozenDict, shown

ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


DEFAULT_SEEDS: Mapping[str, int] = FrozenDict({"quick": 60})
"""The largest number of seeds at each scale of a claim that states none."""


class ClaimError(ValueError):
    """A claim that cannot be judged as it is written; the message is one line."""


class Quote(NamedTuple):
    """A number that a report prints for an arm.

    Attributes:
        where: The place in the report, such as "Table 1".
        metric: What the number measures.
        value: The number.
    """

    where: str
    metric: Metric
    value: float


@dataclass(frozen=True)
class Arm:
    """One configuration of a lab.

    Attributes:
        settings: The settings that differ from the lab's defaults.
        quoted: The numbers that the report prints for this arm: place → metric → value.
        replay: Whether the arm repeats the report's own run, so that its seeds differ in rounding only. Its printed
            numbers then do not describe other seeds.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    quoted: Mapping[str, Mapping[Metric, float]] = field(default_factory=dict)
    replay: bool = False

    @property
    def quotes(self) -> list[Quote]:
        """All quoted numbers."""
        return [
            Quote(where, metric, float(value))
            for where, numbers in self.quoted.items()
            for metric, value in numbers.items()
        ]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a report, with the arms that it compares and the relations that it asserts.

    Attributes:
        id: The name of its lab and its own, `"<lab>/<claim>"`. If it is left out, the second half is the name of the
            variable, or that of its module if the variable is called `claim`.
        statement: The sentence.
        citation: The place in the report that states it.
        lab: The class whose settings the arms set, or a function decorated with `labcheck.lab`.
        arms: The arms by name.
        relations: The relations, all of which must hold.
        seeds: The largest number of seeds at each scale, "quick" or "full". Fewer are trained if they decide the claim.
        notes: Decisions about what the report leaves open, beyond the lab's open settings.
        comparable: The scales at which the quoted numbers are comparable with ours.
    """

    id: str = ""
    statement: str
    citation: str = ""
    lab: type[Lab]
    arms: Mapping[str, Arm]
    relations: Sequence[Relation]
    seeds: Mapping[str, int] = field(default_factory=lambda: DEFAULT_SEEDS)
    notes: Sequence[str] = ()
    comparable: Sequence[str] = tuple(Scale)

    def __post_init__(self) -> None:
        """Replace a function by the lab that it was decorated to be."""
        made: Any = getattr(self.lab, "lab", None)
        if inspect.isfunction(self.lab) and isinstance(made, type):
            object.__setattr__(self, "lab", made)

    def named(self, module: str, variable: str) -> "Claim":
        """Return the claim with an id, which is derived from the names of its module and variable if it has none."""
        if self.id:
            return self
        name = module.rpartition(".")[2].removeprefix("test_") if variable == "claim" else variable
        lab = getattr(self.lab, "name", None) or getattr(self.lab, "__name__", "lab")
        return dataclasses.replace(self, id=f"{lab}/{name.strip('_').replace('_', '-')}")

    @property
    def scales(self) -> list[Scale]:
        """The scales at which the claim can be checked."""
        return [Scale(scale) for scale in self.seeds]

    @property
    def names(self) -> list[str]:
        """The names of all arms and relations, which are keys in baselines."""
        return [*self.arms, *(relation.name for relation in self.relations)]

    def common_settings(self, arms: Iterable[str]) -> set[str]:
        """Return the names of the settings that all of these arms set."""
        return set.intersection(*(set(self.arms[arm].settings) for arm in arms))

    def quotes(self, arm: str, scale: Scale) -> list[Quote]:
        """Return the numbers that the report prints for an arm, if they are comparable at this scale."""
        return self.arms[arm].quotes if scale in self.comparable else []

    def metrics(self, arm: str) -> list[Metric]:
        """Return the metrics of an arm that its relations and quoted numbers need, without repetition or CPU time.

        Those of an arm without relations and quoted numbers are the metrics of all relations.
        """
        quoted = [quote.metric for quote in self.arms[arm].quotes]
        terms = [term.metric for relation in self.relations for term in relation.terms if term.arm == arm]
        if not quoted and not terms:
            terms = [term.metric for relation in self.relations for term in relation.terms]
        return list({metric.id: metric for metric in [*quoted, *terms] if metric != CPU_SECONDS}.values())

    def configure(self, scale: Scale) -> dict[str, Lab]:
        """Return the configured lab of each arm at a scale, by name.

        Raises:
            ClaimError: An arm sets what its lab lacks or refuses; the message names the arm.
        """
        labs = {}
        for name, arm in self.arms.items():
            try:
                labs[name] = self.lab.configure(scale, arm.settings)
            except (TypeError, ValueError) as error:
                raise ClaimError(f"{self.id}: arm '{name}': {error}") from None
            except Exception as error:  # whatever a lab's own validation raises
                raise ClaimError(f"{self.id}: arm '{name}': {line(error)}") from None
        if self.seeds != DEFAULT_SEEDS and any(lab.seed_labels() is not None for lab in labs.values()):
            raise ClaimError(
                f"{self.id}: a claim about a table uses all its seeds; leave out seeds; --claims-seeds limits a run"
            )
        try:
            self.lab.validate_arms(labs, {arm: [metric.name for metric in self.metrics(arm)] for arm in self.arms})
        except ValueError as error:
            raise ClaimError(f"{self.id}: {error}") from None
        return labs

    def validate(self) -> None:
        """Check everything that can be checked without configuring the arms.

        Raises:
            ClaimError: A field has the wrong type, the id is not a valid path, the lab is incomplete, a relation names
                an unknown arm, two relations have the same name, a quoted value is not a number, or there is nothing
                to judge.
        """
        self._require_lab()
        if not isinstance(self.id, str) or not ID.fullmatch(self.id):
            raise ClaimError(f"{self.id!r}: an id must be <lab>/<claim>, of letters, digits, '-', '_' and '.'")
        if not isinstance(self.statement, str) or not isinstance(self.citation, str):
            raise ClaimError(f"{self.id}: statement and citation must be strings")
        self._validate_lab()
        self._validate_arms()
        self._validate_relations()
        if isinstance(self.notes, str):
            raise ClaimError(f"{self.id}: notes must be a list of sentences")
        seeds = self.seeds if isinstance(self.seeds, Mapping) else {}
        scales = tuple(Scale)
        if not seeds or not all(scale in scales and type(n) is int and n > 0 for scale, n in seeds.items()):
            raise ClaimError(
                f"{self.id}: seeds must be a positive number for each scale, {' or '.join(scales)}, such as "
                f"{{'quick': 20}}, got {self.seeds!r}"
            )
        if isinstance(self.comparable, str) or not set(self.comparable) <= {*scales}:
            raise ClaimError(
                f"{self.id}: comparable must be a list of the scales {' and '.join(scales)}, got {self.comparable!r}"
            )
        if odd := [name for name in self.names if not name.isprintable() or not name]:
            raise ClaimError(f"{self.id}: names of arms and relations must be printable strings, got {odd[0]!a}")

    def _require_lab(self) -> None:
        if not (isinstance(self.lab, type) and issubclass(self.lab, Lab)):
            got = f"the function {self.lab.__name__} without it" if inspect.isfunction(self.lab) else shown(self.lab)
            raise ClaimError(
                f'{self.id}: lab must be a function decorated with @lab(name), such as @lab("digits"), or a subclass '
                f"of labcheck.Lab, got {got}"
            )

    def _validate_lab(self) -> None:
        try:
            self.lab.validate()
        except ValueError as error:
            raise ClaimError(f"{self.id}: {error}") from None
        if self.lab.name != self.id.partition("/")[0]:
            raise ClaimError(f"{self.id}: the first half of an id must be the lab's name, '{self.lab.name}'")

    def _validate_arms(self) -> None:
        if not isinstance(self.arms, Mapping) or not all(
            isinstance(name, str) and isinstance(arm, Arm) for name, arm in self.arms.items()
        ):
            raise ClaimError(f"{self.id}: arms must be a dict from names to Arms, such as {{'relu': Arm({{…}})}}")
        for name, arm in self.arms.items():
            if not isinstance(arm.settings, Mapping) or not isinstance(arm.quoted, Mapping):
                raise ClaimError(
                    f"{self.id}: arm '{name}': settings must be a dict, and quoted a dict of the numbers that each "
                    "place prints, such as Arm({'lr': 0.1}, {'Table 1': {TEST_MSE: 9.5}})"
                )
            for where, numbers in arm.quoted.items():
                if not isinstance(numbers, Mapping) or not all(
                    isinstance(metric, Metric) and isinstance(value, Real) for metric, value in numbers.items()
                ):
                    raise ClaimError(
                        f"{self.id}: arm '{name}': the numbers of '{where}' must be a dict from Metrics to "
                        f"numbers, got {numbers!r}"
                    )

    def _validate_relations(self) -> None:
        if not isinstance(self.relations, Sequence) or not all(isinstance(one, Relation) for one in self.relations):
            raise ClaimError(f"{self.id}: relations must be a list of them, such as [beats('relu', 'tanh', TEST_MSE)]")
        if not self.relations:
            raise ClaimError(f"{self.id}: a claim must have at least one relation")
        names = [relation.name for relation in self.relations]
        for relation in self.relations:
            if names.count(relation.name) > 1:
                raise ClaimError(f"{self.id}: two relations have the name '{relation.name}'")
            for arm in relation.arms:
                if arm not in self.arms:
                    raise ClaimError(
                        f"{self.id}: relation '{relation.name}' needs arm '{arm}'; arms are {', '.join(self.arms)}"
                    )
