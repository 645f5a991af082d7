"""What we stand on: settings, Kafka, ClickHouse, logging and counters."""
