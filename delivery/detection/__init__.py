"""Detection: what a text says as a person reads it, whatever it is written with. No SQL, network or clock."""
