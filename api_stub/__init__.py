"""The HTTP API. Clients see only what the contract (`docs/contract.md`) fixes."""
