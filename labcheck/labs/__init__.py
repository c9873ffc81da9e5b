"""The labs of the five reports, and the base classes that they share."""
