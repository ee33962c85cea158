"""What do clients and operators read? Queries that change nothing."""
