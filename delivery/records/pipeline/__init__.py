"""What do the steps read and write? The statements that move messages and recipients."""
