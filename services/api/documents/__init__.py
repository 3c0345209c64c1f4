"""What the api alone keeps in Cosmos DB."""
