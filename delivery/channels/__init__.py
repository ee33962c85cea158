"""The channels: everything that touches a network on the way to a recipient."""
