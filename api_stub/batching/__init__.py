"""How do concurrent requests share round trips to the database? In batches, with one time limit for each batch."""
