"""The steps and the door on a real PostgreSQL and a real Valkey."""
