"""What do readers and operators see? Queries that change nothing."""
