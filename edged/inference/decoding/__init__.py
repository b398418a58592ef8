"""Decoding: from a model's output tensors to findings, with numpy; for workers only."""
