"""Which workers are alive? Their registry, their locks, and the deaths counted against what they worked on."""
