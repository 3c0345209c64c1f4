"""Queries in the SQL of Cosmos DB: grammar, evaluation, translation to SQLite, paging."""
