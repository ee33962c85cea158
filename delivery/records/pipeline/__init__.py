"""What do the steps read and write? The statements that take a message from acceptance to its outcome."""
