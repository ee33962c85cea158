"""The house itself: its rooms, its sizes, and what has to agree with what."""
