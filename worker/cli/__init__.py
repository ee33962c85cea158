"""The command `postroom`, for operators: one file for each group of commands."""
