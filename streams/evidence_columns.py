"""The evidence columns of a window as Arrow arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.windows import MAX_HOSTS, WINDOW_SCHEMA
from streams.arrays import Bools
from streams.evidence import Contacts, Conversations, contacts, notable
from streams.evidence_services import Asked, responders, service_clients
from streams.hosts import Hosts
from streams.name_lookup import conversation_names, service_names
from streams.names import NAME_TABLES
from streams.window_conversations import Word

Records: TypeAlias = dict[str, list[str] | npt.NDArray[np.generic]]
"""Some records, field by field."""

EVIDENCE = ("host_traffic", "scan_sources", "contacts", "service_clients", "responders", "conversations")
"""The columns that are lists of records."""


class WindowEvidence(NamedTuple):
    """What the records of a window are made from.

    Attributes
    ----------
    conversations : Conversations
        Of the window.
    has_begun : ndarray of bool, shape (n_rows,)
        Whether a conversation began in the window.
    """

    conversations: Conversations
    has_begun: Bools


def evidence_of(window: WindowEvidence) -> dict[str, Records]:
    """Return the records of one window, by column."""
    if not len(window.conversations):
        return {}
    conversations, has_begun = window
    hosts, failed = conversations.hosts, contacts(conversations)
    return {
        "host_traffic": _host_traffic(hosts),
        "scan_sources": _scan_sources(hosts, failed),
        "contacts": _contacts(hosts, failed),
        "service_clients": _service_clients(hosts, service_clients(conversations, has_begun)),
        "responders": _responders(hosts, responders(conversations, has_begun)),
        "conversations": _conversations(conversations),
    }


def evidence_columns(windows: Sequence[dict[str, Records]]) -> dict[str, pa.Array]:
    """Return the columns that are lists of records, one element per window."""
    return {column: _column(column, [window.get(column) for window in windows]) for column in EVIDENCE}


def _column(name: str, windows: Sequence[Records | None]) -> pa.Array:
    kind = WINDOW_SCHEMA.field(name).type
    present = [records for records in windows if records]
    lengths = [len(next(iter(records.values()))) if records else 0 for records in windows]
    fields = list(kind.value_type)
    arrays = [
        pa.chunked_array([pa.array(records[field.name]).cast(field.type) for records in present], field.type)
        for field in fields
    ]
    records = pa.StructArray.from_arrays([array.combine_chunks() for array in arrays], fields=fields)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, records).cast(kind)


def _host_traffic(hosts: Hosts) -> Records:
    top = hosts.top(hosts.sent_bytes + hosts.received_bytes, MAX_HOSTS)
    return {
        "ip": hosts.texts(top),
        "bytes_sent": hosts.sent_bytes[top],
        "bytes_received": hosts.received_bytes[top],
        "conversations": hosts.conversations[top],
    }


def _scan_sources(hosts: Hosts, found: Contacts) -> Records:
    return {
        "src_ip": hosts.texts(found.sources),
        "targets": found.targets,
        "failed_targets": found.failed_targets,
        "max_ports": found.max_ports,
        "max_hosts": found.max_hosts,
    }


def _contacts(hosts: Hosts, found: Contacts) -> Records:
    return {
        "src_ip": hosts.texts(found.src),
        "dst_ip": hosts.texts(found.dst),
        "dst_port": found.service >> 8,
        "protocol": found.service & 0xFF,
        "conversations": found.conversations,
        "resets": found.resets,
    }


def _service_clients(hosts: Hosts, asked: Asked) -> Records:
    port, protocol = asked.service >> 8, asked.service & 0xFF
    return {
        "src_ip": hosts.texts(asked.src),
        "dst_ip": hosts.texts(asked.dst),
        "dst_port": port,
        "protocol": protocol,
        "name": [NAME_TABLES.names[name] for name in service_names(protocol, port).tolist()],
        **_sums(asked),
    }


def _responders(hosts: Hosts, asked: Asked) -> Records:
    return {"dst_ip": hosts.texts(asked.dst), "sources": asked.sources, **_sums(asked)}


def _sums(asked: Asked) -> Records:
    return {
        name: getattr(asked, name)
        for name in (
            *("conversations", "begun", "failed"),
            *("packets_forward", "packets_backward", "bytes_forward", "bytes_backward"),
        )
    }


def _conversations(conversations: Conversations) -> Records:
    rows = notable(conversations)
    chosen = Conversations(conversations.rows[rows])
    words = chosen.rows
    values: Records = {
        "src_ip": chosen.hosts.texts(chosen.host(of_responder=False)),
        "src_port": chosen.port(of_responder=False),
        "dst_ip": chosen.hosts.texts(chosen.host(of_responder=True)),
        "dst_port": chosen.port(of_responder=True),
        "protocol": chosen.protocol,
        "name": [NAME_TABLES.names[name] for name in conversation_names(words).tolist()],
        "first_ts_ns": np.minimum(words[:, Word.FIRST_TS_NS], words[:, Word.LAST_TS_NS]),
        "last_ts_ns": words[:, Word.LAST_TS_NS],
        "rtt_count": words[:, Word.RTT_COUNT],
        "rtt_sum_ns": words[:, Word.RTT_SUM_NS],
        "rtt_max_ns": words[:, Word.RTT_MAX_NS],
    }
    for direction, of_responder in (("forward", False), ("backward", True)):
        values[f"packets_{direction}"] = chosen.halves(Word.PACKETS, of_responder=of_responder)
        values[f"bytes_{direction}"] = chosen.sent_bytes(of_responder=of_responder)
        values[f"data_segments_{direction}"] = chosen.halves(Word.DATA_SEGMENTS, of_responder=of_responder)
        values[f"retransmissions_{direction}"] = chosen.halves(Word.RETRANSMISSIONS, of_responder=of_responder)
    return values
