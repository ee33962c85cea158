"""Trials of reliability: real processes, seeded faults, and a checker that observes from outside."""
