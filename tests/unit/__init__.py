"""What can be judged without a network, a database or a wait."""
