"""Programs that clients could have written: they send directly and import nothing of Postroom."""
