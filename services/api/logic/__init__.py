"""What the api decides. Knows no SDK and no HTTP."""
