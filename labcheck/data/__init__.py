"""The data of the labs, as tensors in memory."""
