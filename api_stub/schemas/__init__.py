"""What do answers look like? Pydantic models and what builds them."""
