"""labcheck: will I see that too? Verdicts on the claims of deep-learning reports, over many seeds."""

__version__ = "0.1.0"
