"""Whose a live object is, field by field, what of it differs, and what a namespace holds. Pure."""
