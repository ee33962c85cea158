"""What an API process does for the desk beside its requests, on threads of its own."""
