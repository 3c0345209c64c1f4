"""The platform operator's command-line tool: accounts, groups and gateways."""
