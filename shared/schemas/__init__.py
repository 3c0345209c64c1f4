"""The shapes of everything that crosses a boundary: contract, messages, stored documents."""
