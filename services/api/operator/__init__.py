"""The platform operator's command-line tool: accounts, groups, gateways and parked messages."""
