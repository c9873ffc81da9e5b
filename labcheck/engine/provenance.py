"""What a lab's results depend on: data, source code, packages, settings and the machine."""

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
from labcheck.engine.module_source import Dependencies, Sources, dependencies, sources

NAME = re.compile(r"\w[\w.+ -]*")
NAMES_SHOWN = 3
"""Data sets of a claim whose names are written out; of more, the first one and their number."""


@dataclass
class Provenance:
    """Finds out once in a session what each lab's results depend on."""

    _data: dict[str, Data] = field(default_factory=dict)
    _keys: dict[tuple[str, str, bool], str] = field(default_factory=dict)
    _sources: dict[tuple[type[Lab], tuple[str, ...]], Sources] = field(default_factory=dict)
    _dependencies: dict[type[Lab], Dependencies] = field(default_factory=dict)

    def data(self, lab: Lab) -> Data:
        """Return name and digest of a lab's data, files that it names in `depends` included.

        Raises:
            DataError: the data is missing, or what `data` returns is not a name and a digest.
        """
        name = identity(lab)
        if name not in self._data:
            self._data[name] = _with_files(_data(lab), self.dependencies(lab).files_digest)
        return self._data[name]

    def data_of(self, labs: Iterable[Lab]) -> Data:
        """Return the data of a claim whose arms have these labs: that of all of them, or a name and digest of several.

        Raises:
            DataError: some data is missing.
        """
        several = sorted(set(map(self.data, labs)))
        if len(several) == 1:
            return several[0]
        names = list(dict.fromkeys(data.name for data in several))
        name = "+".join(names) if len(names) <= NAMES_SHOWN else f"{names[0]}+{len(names) - 1} more"
        digests = [data.digest for data in several]
        return Data(name, _digest("\n".join(digests)) if all(digests) else "")

    def fingerprint(self, labs: Iterable[Lab], device: str) -> Fingerprint:
        """Return what results of these labs are measured on, with the packages that their own modules import."""
        labs = list(labs)
        precision = ", ".join(sorted({_precision(lab, device) for lab in labs}))
        found = environment.fingerprint(device, precision)
        packages: dict[str, str] = {}
        for lab in labs:
            packages |= self.sources(lab).foreign | self.dependencies(lab).packages
        if packages:
            found["packages"] = _listed(packages)
        return found

    def sources(self, lab: Lab) -> Sources:
        """Return the source and packages that a lab's class, the classes above it and its settings import."""
        kind = type(lab)
        of_settings = tuple(sorted({*settings.modules(tuple(getattr(lab, field.name) for field in fields(lab)))}))
        if (kind, of_settings) not in self._sources:
            modules = [owner.__module__ for owner in _owners(kind)]
            self._sources[kind, of_settings] = sources(*modules, results.__name__, also=of_settings)
        return self._sources[kind, of_settings]

    def dependencies(self, lab: Lab) -> Dependencies:
        """Return what a lab's class and those that it inherits from name in `depends`.

        Raises:
            DataError: what is named is nowhere.
        """
        kind = type(lab)
        if kind not in self._dependencies:
            self._dependencies[kind] = _dependencies(kind)
        return self._dependencies[kind]

    def resumable(self, lab: Lab) -> bool:
        """Whether a later session can tell that nothing that a lab's results depend on has changed."""
        return bool(self.data(lab).digest)

    def key(self, lab: Lab, device: str, lasting: bool) -> str:
        """Return a text that two labs have in common only if their results are the same.

        Args:
            lasting: the text must hold beyond this session, in which neither code nor machine changes.
        """
        place = identity(lab), device, lasting
        if place not in self._keys:
            parts: list[object] = [identity(lab), device]
            if lasting:
                code = self.sources(lab)
                parts += [code.digest, _listed(code.packages), self.data(lab), self.fingerprint([lab], device)]
                parts += [sys.version]
            self._keys[place] = _digest("\n".join(map(str, parts)))
        return self._keys[place]


def identity(lab: Lab) -> str:
    """Return a text of a lab's class and settings; 1, 1.0 and true, which are equal in Python, are three."""
    given = {field.name: getattr(lab, field.name) for field in fields(lab) if field.compare}
    return f"{lab.name} {type(lab).__module__}.{type(lab).__qualname__} {settings.identity(given)}"


def _precision(lab: Lab, device: str) -> str:
    try:
        return str(lab.precision(device))
    except Exception as error:  # whatever a lab's own code raises
        raise DataError(f"{lab.name}: precision({device!r}) raised {line(error)}") from error


def _data(lab: Lab) -> Data:
    try:
        found = lab.data()
    except DataError:
        raise
    except Exception as error:  # whatever a lab's own code raises
        raise DataError(f"{lab.name}: data() raised {line(error)}") from error
    if not (isinstance(found, tuple) and len(found) == 2 and all(isinstance(part, str) for part in found)):
        raise DataError(f"{lab.name}: data() must return Data(name, digest), two texts, got {found!r:.60}")
    name, digest = found
    if not NAME.fullmatch(name):
        raise DataError(
            f"{lab.name}: the name of data is part of a file's name and must be of letters, digits, ' ', '-', '_', '.' "
            f"and '+', got {name!a}"
        )
    return Data(name, digest)


def _with_files(data: Data, files: str) -> Data:
    return Data(data.name, _digest(f"{data.digest} {files}")) if files and data.digest else data


def _owners(kind: type[Lab]) -> list[type[Lab]]:
    """A lab's class and those that it inherits from."""
    return [owner for owner in kind.__mro__ if issubclass(owner, Lab)]


def _dependencies(kind: type[Lab]) -> Dependencies:
    """What a lab's class and those that it inherits from name, each relative to its own module."""
    digests: list[str] = []
    packages: dict[str, str] = {}
    for owner in _owners(kind):
        try:
            found = dependencies(owner.__module__, vars(owner).get("depends", ()))
        except ValueError as error:
            raise DataError(f"{kind.name}: {error}") from None
        digests.append(found.files_digest)
        packages |= found.packages
    return Dependencies(_digest(" ".join(digests)) if any(digests) else "", packages)


def _listed(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {packages[name]}" for name in sorted(packages))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
