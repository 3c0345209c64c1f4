"""What the OTA service decides; it knows no SDK and no web framework."""
