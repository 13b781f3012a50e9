"""The replication: many runs of each configuration, their records, and a verdict on every claim."""
