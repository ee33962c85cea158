"""Who is calling? API keys, our tokens, and those of a trusted issuer."""
