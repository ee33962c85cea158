"""Who exists? Accounts, clients and their credentials."""
