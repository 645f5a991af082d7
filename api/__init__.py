"""What is shown: the REST contracts over the store."""
