"""The steps of a message, one file each: read, apply rules, act, record, ring for the next step."""
