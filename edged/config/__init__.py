"""The configuration: models, loader with file:line:column, JSON schema, sample."""
