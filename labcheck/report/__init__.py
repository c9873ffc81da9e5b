"""What a run leaves behind: report.json, its page, the table on the terminal, files for TensorBoard."""
