"""The data of the labs, as tensors in memory."""


class DataError(Exception):
    """Data that is not there or not what it should be, and what to do about it: one line."""
