"""Settings of hypothesis for all unit tests: fixed seeds, and as many examples as fit into five seconds."""

from hypothesis import settings

# Derandomized: a red test is red on every machine. No deadline: a slow machine is no defect.
settings.register_profile("unit", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("unit")
