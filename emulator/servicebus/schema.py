"""The tables of Service Bus in the store. Times are Unix milliseconds."""

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS sb_queue (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        settings TEXT NOT NULL,
        rules TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    )""",
    # A queue owns two entities: 2 * id is the queue itself, 2 * id + 1 its dead-letter queue.
    """CREATE TABLE IF NOT EXISTS sb_entity (
        id INTEGER PRIMARY KEY,
        last_sequence INTEGER NOT NULL,
        accessed_at INTEGER NOT NULL
    )""",
    # due_at: when the sweep must look at the message, because it expires or was scheduled.
    """CREATE TABLE IF NOT EXISTS sb_message (
        entity INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        state INTEGER NOT NULL,
        enqueued_at INTEGER NOT NULL,
        enqueued_sequence INTEGER NOT NULL,
        ttl INTEGER,
        expires_at INTEGER,
        due_at INTEGER,
        delivery_count INTEGER NOT NULL,
        size INTEGER NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (entity, sequence)
    ) WITHOUT ROWID""",
    """CREATE INDEX IF NOT EXISTS sb_message_due ON sb_message (due_at)
        WHERE due_at IS NOT NULL""",
    # The locks that are held. After a restart they count as lost, and as a delivery.
    """CREATE TABLE IF NOT EXISTS sb_lock (
        entity INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        PRIMARY KEY (entity, sequence)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS sb_history (
        queue INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (queue, message_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS sb_history_until ON sb_history (until)",
)
