"""What does `make up` need that production does not? Servers from wheels, a supervisor, demo data, a mail sink."""
