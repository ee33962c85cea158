"""The steps and the API on a real PostgreSQL and a real Valkey."""
