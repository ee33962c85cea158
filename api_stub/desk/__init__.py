"""Where do staff decide? The pages of the desk, which work without script."""
