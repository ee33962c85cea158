"""Trials of reliability: real processes, seeded faults, and a judge that looks from outside."""
