"""Service Bus queues: the broker on SQLite, its AMQP nodes and its administration over REST."""
