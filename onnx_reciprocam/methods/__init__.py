"""Explanation methods, one paper per file."""
