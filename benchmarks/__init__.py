"""Benchmarks: each runs with `make bench-…` and saves its measurements in `var/bench`."""
