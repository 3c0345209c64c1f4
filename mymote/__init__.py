"""The command-line client of MyMote's REST API."""
