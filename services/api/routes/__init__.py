"""The edge of the api: parse, call, return."""
