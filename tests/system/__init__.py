"""The whole of Postroom: real processes, started and stopped as its users do."""
