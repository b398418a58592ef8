"""What crosses between processes: orders, messages, and shared pages. Neither side trusts what it reads."""
