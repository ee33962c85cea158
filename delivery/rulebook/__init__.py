"""Rule sets as documents: the shipped one, files of an operator, and labelled scenes to measure them with."""
