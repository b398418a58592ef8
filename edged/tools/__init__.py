"""What the verbs do that run beside the daemon."""
