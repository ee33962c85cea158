"""What Postroom is compared with: the same work, written the way each library's documentation teaches it."""
