"""Measured claims: each benchmark runs with `make bench-…` and writes what it saw to `var/bench`."""
