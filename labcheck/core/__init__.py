"""The rules: claims, relations, metrics, verdicts and drift. Imports neither torch nor pytest, and reads no files."""
