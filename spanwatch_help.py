"""What `--help` says of the commands that run the parts, fill them and look at them."""

from __future__ import annotations

UP = """Start everything on this machine, until Ctrl-C.

That is the broker, the store with its storage agents, a worker, and the API with the console.

\b
Examples:
  spanwatch up
  spanwatch up --interface eth0 --filter "not port 22"    watch a port
  spanwatch up --pcap night.pcapng                        compute a file at once
  SPANWATCH_STATE=/srv/two SPANWATCH_PORTS=9000,9001 spanwatch up

A port needs CAP_NET_RAW. The last example is a second stack beside the first.

Environment: SPANWATCH_STATE (folder of all data), SPANWATCH_HOST, SPANWATCH_PORTS, SPANWATCH_KAFKA and
SPANWATCH_CLICKHOUSE (use these instead of our own); `spanwatch config` lists them all.

Exit status: 0 stopped in order; 1 it could not start, or a part of it failed; 2 wrong use.
"""

WORKER = """Run one more worker: capture, windows, flows, verdicts.

Workers share the partitions of a stack; one that ends is replaced by the others.

\b
Examples:
  spanwatch worker                        beside a stack, same SPANWATCH_STATE
  SPANWATCH_KAFKA=kafka1:9092,kafka2:9092 spanwatch worker

Environment: SPANWATCH_KAFKA, SPANWATCH_PARTITIONS, SPANWATCH_TOPIC_PREFIX as the stack has them.
"""

API = """Run the API and the storage agents only.

Broker and workers run elsewhere: with the same SPANWATCH_STATE, or where SPANWATCH_KAFKA says.

\b
Examples:
  spanwatch api --ports 8000
  SPANWATCH_KAFKA=kafka:9092 SPANWATCH_CLICKHOUSE=http://user:pw@host:8123/spanwatch spanwatch api
"""

BROKER = """Run the local Kafka alone, until Ctrl-C.

\b
Examples:
  spanwatch broker
  SPANWATCH_KAFKA_PORT=9192 spanwatch broker
"""

TOPICS = """Create the topics, or bring them up to date.

That is to what the settings say. A second call changes nothing. Every start of a stack does it, too.

\b
Examples:
  SPANWATCH_KAFKA=kafka:9092 SPANWATCH_KAFKA_REPLICATION=3 spanwatch topics
"""

MIGRATE = """Bring the store's tables up to this version.

Every start does it, too. An embedded store belongs to one process: stop the stack first.

\b
Examples:
  spanwatch migrate
"""

CONFIG = """List every setting with its value and what it is for.

\b
Examples:
  spanwatch config
  SPANWATCH_WINDOW_S=60 spanwatch config | grep WINDOW

Settings come from the environment, or from a file .env in the working directory.
"""

CAPTURE = """Read a file, or an interface, into the running stack.

FILE is pcap or pcapng; plain, gzip, zstd or xz; - for stdin. An interface is captured from until Ctrl-C. What is
printed is the capture's id.

\b
Examples:
  spanwatch capture night.pcapng
  spanwatch capture --speed 1 night.pcapng    as quickly as it was recorded
  ssh probe tcpdump -i eth0 -U -w - | spanwatch capture -
  spanwatch capture --interface eth0 --duration 600 --output ten-minutes.pcapng

Exit status: 0 all of it was sent; 1 an error, in plain words; 2 wrong use.
"""

STATUS = """Show what the running stack does.

Captures, lag of the agents, the last window and the loss ledger.

\b
Examples:
  spanwatch status
  spanwatch status --capture 1m80tyfqanw8j0x
"""
