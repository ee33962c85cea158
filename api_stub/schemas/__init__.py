"""What do answers look like? Pydantic models and the functions that build them."""
