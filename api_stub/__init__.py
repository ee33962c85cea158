"""The front desk: HTTP in, HTTP out. What clients see is fixed by the contract; our insides stay inside."""
