"""Everything that crosses between processes. Neither side trusts what it reads."""
