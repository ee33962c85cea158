"""Migrations of the schema. They only add, as long as an older version may still run on it (docs/production.md)."""
