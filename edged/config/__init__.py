"""The configuration: section models, a loader that reports file:line:column, JSON schema, sample."""
