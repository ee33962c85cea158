"""What do people see in a browser? Pages that work without script."""
