"""The steps, one file for each, and the doorbell by which one step starts the next."""
