"""Where the OTA service keeps things."""
