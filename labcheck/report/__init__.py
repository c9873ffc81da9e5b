"""The output of a run: report.json, its page, the table on the terminal, and files for TensorBoard."""
