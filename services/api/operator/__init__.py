"""The platform operator's command-line tool: accounts, people, groups, namespaces, gateways and
parked messages."""
