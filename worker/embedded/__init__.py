"""What `make up` needs and production does not: servers from wheels, a supervisor, demo data, a mail sink."""
