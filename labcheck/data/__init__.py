"""The data of the labs, as tensors in memory."""

ROOT = "LABCHECK_DATA"
"""The environment variable that names the folder of real data."""


class DataError(Exception):
    """Data that is not there or not what it should be, and what to do about it: one line."""
