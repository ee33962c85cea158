"""What do the pages of the desk read? Queries that change nothing."""
