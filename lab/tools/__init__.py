"""Programs that run inside the lab's namespaces."""
