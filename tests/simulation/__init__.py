"""The simulation: everything that may happen, as actions on a model of the records, on PostgreSQL, or on both."""
