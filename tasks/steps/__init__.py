"""What happens to a message? One file per step: open, ask, act, record, hand on."""
