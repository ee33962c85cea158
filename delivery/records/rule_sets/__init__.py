"""Rule sets in the database: the sets themselves, what their rules hit, and what rules ask about the past."""
