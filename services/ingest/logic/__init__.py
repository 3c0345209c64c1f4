"""What ingest decides, step by step. Knows no SDK."""
