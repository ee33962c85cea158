"""What staff do with vetting cases, and the record of it."""
