"""Programs of other people: they send directly, and import nothing of ours."""
