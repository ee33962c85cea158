"""The simulation: one machine of everything that may happen, over a model of the records, over PostgreSQL, or both."""
