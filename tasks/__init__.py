"""The steps: one file for each, and the doorbell by which they hand on to each other."""
