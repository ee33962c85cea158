"""How often may they? Limits that all API processes share."""
