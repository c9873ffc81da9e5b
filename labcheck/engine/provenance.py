"""The provenance of results: the data, source code, packages, settings and machine that they depend on."""

import hashlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from labcheck.core import settings
from labcheck.core.errors import line
from labcheck.core.lab import Data, Lab
from labcheck.data import DataError
from labcheck.engine import environment, results
from labcheck.engine.environment import Fingerprint
from labcheck.engine.module_source import Dependencies, ModuleSource, find_dependencies, find_source

NAME = re.compile(r"\w[\w.+ -]*")
WITHOUT_TORCH = {
    "joblib", "labcheck", "lazy-loader", "matplotlib", "numpy", "pandas", "pyarrow", "pytest", "scikit-learn", "scipy",
    "tqdm",
}  # fmt: skip
"""Distributions whose results do not depend on torch. Any other may import it, without a trace in the user's code."""
NAMES_SHOWN = 3
"""The number of data sets up to which all their names are listed."""


@dataclass
class Provenance:
    """Looks up what each lab's results depend on, once in a session."""

    _data: dict[str, Data] = field(default_factory=dict)
    _keys: dict[tuple[str, str, bool], str] = field(default_factory=dict)
    _sources: dict[tuple[type[Lab], tuple[str, ...], tuple[str, ...]], ModuleSource] = field(default_factory=dict)
    _dependencies: dict[type[Lab], Dependencies] = field(default_factory=dict)

    def data(self, lab: Lab) -> Data:
        """Return a lab's data, with a digest that includes the files that it names in `depends`.

        Raises:
            DataError: The data is missing, or `Lab.data` does not return a name and a digest.
        """
        name = identity(lab)
        if name not in self._data:
            self._data[name] = _with_files(_data(lab), self.dependencies(lab).files_digest)
        return self._data[name]

    def data_of(self, labs: Iterable[Lab]) -> Data:
        """Return the data that all of these labs have, or one name and digest for several data sets.

        Raises:
            DataError: Some data is missing.
        """
        several = sorted(set(map(self.data, labs)))
        if len(several) == 1:
            return several[0]
        names = list(dict.fromkeys(data.name for data in several))
        name = "+".join(names) if len(names) <= NAMES_SHOWN else f"{names[0]}+{len(names) - 1} more"
        digests = [data.digest for data in several]
        stand_in = any(data.stand_in for data in several)
        return Data(name, _digest("\n".join(digests)) if all(digests) else "", stand_in)

    def fingerprint(self, labs: Iterable[Lab], device: str) -> Fingerprint:
        """Return the environment of these labs' results, with the packages that their own modules import."""
        labs = list(labs)
        precision = ", ".join(sorted({_precision(lab, device) for lab in labs}))
        if all(lab.recorded for lab in labs):
            return {"precision": precision}
        uses_torch = environment.has_torch() and any(map(self._uses_torch, labs))
        fingerprint = environment.fingerprint(device, precision, uses_torch=uses_torch)
        packages: dict[str, str] = {}
        for lab in labs:
            packages |= self.source(lab).foreign | self.dependencies(lab).packages
        if packages:
            fingerprint["packages"] = _listed(packages)
        return fingerprint

    def source(self, lab: Lab) -> ModuleSource:
        """Return the source and packages that a lab's class, its base classes and its settings import."""
        return self._source(lab, results.__name__)

    def _uses_torch(self, lab: Lab) -> bool:
        """Return whether a lab's results may depend on torch, by the packages that it imports or declares."""
        packages = {*self._source(lab).packages, *self.dependencies(lab).packages}
        return not {name.lower() for name in packages} <= WITHOUT_TORCH

    def _source(self, lab: Lab, *others: str) -> ModuleSource:
        kind = type(lab)
        of_settings = tuple(sorted({*settings.modules(tuple(getattr(lab, field.name) for field in fields(lab)))}))
        key = kind, of_settings, others
        if key not in self._sources:
            modules = [owner.__module__ for owner in _owners(kind)]
            self._sources[key] = find_source(*modules, *others, also=of_settings)
        return self._sources[key]

    def dependencies(self, lab: Lab) -> Dependencies:
        """Return the dependencies that a lab's class and its base classes declare in `depends`.

        Raises:
            DataError: One of them is missing.
        """
        kind = type(lab)
        if kind not in self._dependencies:
            self._dependencies[kind] = _dependencies(kind)
        return self._dependencies[kind]

    def resumable(self, lab: Lab) -> bool:
        """Return whether a later session can detect every change of what a lab's results depend on."""
        return bool(self.data(lab).digest)

    def key(self, lab: Lab, device: str, lasting: bool) -> str:
        """Return a text that is equal for two labs only if their results are equal.

        Args:
            lab: The lab.
            device: The device on which it trains.
            lasting: Whether the text must be valid beyond this session, although code and machine may change.
        """
        place = identity(lab), device, lasting
        if place not in self._keys:
            parts: list[object] = [identity(lab), device]
            if lasting:
                code = self.source(lab)
                parts += [code.digest, _listed(code.packages), self.data(lab), self.fingerprint([lab], device)]
                parts += [sys.version]
            self._keys[place] = _digest("\n".join(map(str, parts)))
        return self._keys[place]


def identity(lab: Lab) -> str:
    """Return a text of a lab's class and settings, in which 1, 1.0 and True differ, although Python equates them."""
    values = {field.name: getattr(lab, field.name) for field in fields(lab) if field.compare}
    return f"{lab.name} {type(lab).__module__}.{type(lab).__qualname__} {settings.identity(values)}"


def _precision(lab: Lab, device: str) -> str:
    try:
        return str(lab.precision(device))
    except Exception as error:  # whatever user code raises
        raise DataError(f"{lab.name}: precision({device!r}) raised {line(error)}") from error


def _data(lab: Lab) -> Data:
    try:
        returned = lab.data()
    except DataError:
        raise
    except Exception as error:  # whatever user code raises
        raise DataError(f"{lab.name}: data() raised {line(error)}") from error
    data = Data(*returned) if isinstance(returned, tuple) and len(returned) in (2, 3) else None
    if data is None or not (
        isinstance(data.name, str) and isinstance(data.digest, str) and type(data.stand_in) is bool
    ):
        raise DataError(f"{lab.name}: data() must return Data(name, digest), two strings, got {returned!r:.60}")
    if not NAME.fullmatch(data.name):
        raise DataError(
            f"{lab.name}: the name of data must consist of letters, digits, ' ', '-', '_', '.' and '+', since it is "
            f"part of a file name, got {data.name!a}"
        )
    return data


def _with_files(data: Data, files: str) -> Data:
    return data._replace(digest=_digest(f"{data.digest} {files}")) if files and data.digest else data


def _owners(kind: type[Lab]) -> list[type[Lab]]:
    """Return a lab's class and those of its base classes that are labs."""
    return [owner for owner in kind.__mro__ if issubclass(owner, Lab)]


def _dependencies(kind: type[Lab]) -> Dependencies:
    """Return the dependencies of a lab's class and its base classes, each relative to its own module."""
    digests: list[str] = []
    packages: dict[str, str] = {}
    for owner in _owners(kind):
        try:
            declared = find_dependencies(owner.__module__, vars(owner).get("depends", ()))
        except ValueError as error:
            raise DataError(f"{kind.name}: {error}") from None
        digests.append(declared.files_digest)
        packages |= declared.packages
    return Dependencies(_digest(" ".join(digests)) if any(digests) else "", packages)


def _listed(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {packages[name]}" for name in sorted(packages))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
