"""Where ingest reads and puts things: Cosmos DB and Service Bus, and nothing but them."""
