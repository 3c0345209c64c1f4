"""Where the api keeps things: Cosmos DB and Service Bus, and nothing but them."""
