"""What edged needs of the operating system, for every kind of process."""
