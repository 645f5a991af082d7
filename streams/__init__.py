"""What flows: capture, decode, topics' payloads and the pure operators over them."""
