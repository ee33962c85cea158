"""How is HTTP itself served and refused? The protocol, errors, request ids, and the middleware."""
