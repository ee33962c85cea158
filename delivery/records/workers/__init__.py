"""Which workers are alive? Their registry, their locks, and the crashes counted against what they worked on."""
