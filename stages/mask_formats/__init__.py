"""Masks in the formats of annotation tools: one module a format, each with what writes it and what reads it back."""
