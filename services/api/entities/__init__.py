"""What requests and replies hold beyond the contract's entities."""
