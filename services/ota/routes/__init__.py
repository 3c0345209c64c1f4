"""The edges: parse, call, return."""
