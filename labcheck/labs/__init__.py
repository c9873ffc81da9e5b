"""The labs of the five reports, and base classes for others."""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("labcheck.labs needs torch and others: pip install 'labcheck[labs]'") from error
