"""The data of the labs, as tensors in memory."""

ROOT = "LABCHECK_DATA"
"""The environment variable that names the folder of real data."""


class DataError(Exception):
    """Data that is missing or broken; the message is one line and states what to do."""
