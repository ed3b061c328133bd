"""Miniature data sets, and what CoOp's readers return on them."""
