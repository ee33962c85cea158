"""The book: what Postroom knows and judges. Nouns, rules, records and the channels to the world."""
