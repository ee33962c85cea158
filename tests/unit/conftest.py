"""What all unit tests share: chance is a seed, and examples are as many as five seconds allow."""

from hypothesis import settings

# Derandomized: a red test is red for everybody. No deadline: a slow machine is no defect.
settings.register_profile("unit", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("unit")
