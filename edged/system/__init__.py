"""Operating system services for every kind of process."""
