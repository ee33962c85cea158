"""The tests, by what must be running: unit (nothing), steps (database and broker), system (everything), shape."""
