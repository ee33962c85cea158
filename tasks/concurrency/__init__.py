"""How do the threads of one process work together? Grouped commits, shared bells, isolation."""
