"""What can an operator do at the command line? One file per group of the command postroom."""
