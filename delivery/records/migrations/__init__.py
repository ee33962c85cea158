"""The schema's history. Migrations only expand while an older version may still run (docs/decisions.md)."""
