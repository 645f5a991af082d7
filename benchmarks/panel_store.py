"""A month of a port in the store, made by the store itself: what panels are measured on, and tested with.

Nothing goes through the pipeline here: only the tables that panels read are filled, with as many rows as a port of that
many packets leaves in them. Sources: windows of 10 s with 64 hosts and baselines every 6 and 60 windows as documented
in docs/baselines.md, 57 flow records for 1,000 packets as measured in docs/store.md. Packets themselves are only
counted: no panel reads them.
"""

# ruff: noqa: E501 - SQL reads best in long lines

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.store import Store

DAY_S = 86_400
WINDOW_S = 10
RECORDS_PER_PACKET = 0.057
"""Flow records a packet; measured, see docs/store.md."""

ROWS_AT_ONCE = 500_000
"""Rows of one insert of flows and verdicts."""


@dataclass(frozen=True)
class Month:
    """How much there is.

    Parameters
    ----------
    capture_id : str
        Of the port's capture; those of files begin with it.
    end_s : int
        When it ends, s since the epoch, a full hour.
    hosts_listed : int
        Hosts in a window.
    hosts_learnt : int
        Hosts that have a baseline.
    files : int
        Captures of files beside the port's.
    """

    capture_id: str
    end_s: int
    days: int = 30
    packets: int = 100_000_000
    hosts_listed: int = 64
    hosts_learnt: int = 1_000
    anomalies: int = 20_000
    files: int = 200

    @property
    def start_s(self) -> int:
        """When it begins, s since the epoch."""
        return self.end_s - self.days * DAY_S

    @property
    def windows(self) -> int:
        """Windows of the port."""
        return self.days * DAY_S // WINDOW_S

    @property
    def records(self) -> int:
        """Flow records."""
        return int(self.packets * RECORDS_PER_PACKET)

    def values(self) -> Mapping[str, object]:
        """Return what statements stand for."""
        return {
            "capture": self.capture_id,
            "start_s": self.start_s,
            "seconds": self.days * DAY_S,
            "windows": self.windows,
            "minutes": self.days * 1_440,
            "packets": self.packets,
            "records": self.records,
            "listed": self.hosts_listed,
            "learnt": self.hosts_learnt,
            "anomalies": self.anomalies,
            "files": self.files,
        }


MODEL = "c0ffee000000"
"""Fingerprint of the champion."""

SENSOR_PROCESS = "sensor:1"
"""Who wrote the figures of the pipeline."""

BUSIEST = "10.0.0.0"
"""The host with most traffic: the worst case of the dashboard of one."""

# The cube of an even spread: some hosts have most of the traffic.
_INSIDE = "concat('10.0.', toString(intDiv({n}, 250)), '.', toString({n} % 250))"
_SKEWED = "toUInt32(floor(pow((cityHash64(number, {salt}) % 1000003) / 1000003, 3) * {most}))"


def _inside(number: str) -> str:
    return _INSIDE.replace("{n}", number)


def _skewed(salt: int, most: str) -> str:
    return _SKEWED.replace("{salt}", str(salt)).replace("{most}", most)


CAPTURES = """
INSERT INTO captures
(capture_id, version, state, source, name, sensor, window_ns, partitions, started_ns, ended_ns, first_ts_ns, last_ts_ns, packets,
 bytes, packets_lost, sampling_rate, error)
SELECT if(number = 0, {capture:String}, concat({capture:String}, '-', toString(number))), 2,
       multiIf(number = 0, 'running', number % 50 = 7, 'failed', 'complete') AS state, if(number = 0, 'live', 'pcap'),
       if(number = 0, 'span0', concat('day-', toString(number), '.pcap')), if(number % 3 > 0, 'north', 'south'), 10000000000, 4, at, ended, at,
       if(number = 0, ({start_s:Int64} + {seconds:Int64}) * 1000000000, ended),
       if(number = 0, {packets:UInt64}, 1000) AS seen, 700 * seen, if(number % 20 = 0, 12, 0), 1, if(state = 'failed', 'the file is not there', '')
FROM
(
    SELECT number, ({start_s:Int64} + intDiv(number * {seconds:Int64}, {files:Int64} + 1)) * 1000000000 AS at,
           if(number = 0, NULL, at + 60000000000) AS ended
    FROM numbers({files:UInt64} + 1)
)
"""

LEDGER = """
INSERT INTO ledger (capture_id, hop, partition, reason, packets_in, packets_out, version)
SELECT capture_id, hop, toInt16(number) - 1, reason, if(reason = '', 1000, 12) AS came_in, if(reason = 'ring_full', 0, came_in), 1
FROM (SELECT capture_id FROM captures WHERE startsWith(capture_id, {capture:String})) AS c
ARRAY JOIN ['kernel', 'read', 'decode', 'produce', 'windows', 'merge', 'store', 'analysis', 'flows', 'classifications'] AS hop
CROSS JOIN numbers(5) AS n
ARRAY JOIN multiIf(hop = 'kernel', ['', 'ring_full'], hop = 'decode', ['', 'truncated_network'], ['']) AS reason
"""

TRAFFIC = """
INSERT INTO traffic (capture_id, interval_s, start_ns, protocol, packets, bytes, payload_bytes)
SELECT {capture:String}, interval_s, intDiv({start_s:Int64} + number * 60, interval_s) * interval_s * 1000000000, protocol,
       sum(intDiv({packets:UInt64}, {minutes:UInt64} * 5)) AS n, 700 * n, 640 * n
FROM numbers({minutes:UInt64})
ARRAY JOIN [60, 300, 3600]::Array(UInt16) AS interval_s
CROSS JOIN (SELECT arrayJoin([1, 6, 17, 58, 255]::Array(UInt8)) AS protocol) AS protocols
GROUP BY ALL
"""

WINDOWS = f"""
INSERT INTO windows
(capture_id, window_id, version, window_start_ns, window_end_ns, record_count, bytes, hosts, rtt_count, rtt_sum_ns, rtt_p95_ns,
 connections_total, connections_failed, connections_half_open, protocol_packets, protocol_bytes, tcp_segments, tcp_data_segments,
 undecoded, late_packets, is_complete, lost_upstream, sampling_rate, tcp_retransmissions, host_traffic)
SELECT {{capture:String}}, number, n, ({{start_s:Int64}} + number * 10) * 1000000000 AS begins_ns, begins_ns + 10000000000,
       intDiv({{packets:UInt64}}, {{windows:UInt64}}) AS n, 700 * n, 120, 40, 40 * (8000000 + 4000000 * sin(number / 4000)), 22000000,
       90, 3, 1, map('https', 300, 'domain', 60, 'tcp', 20), map('https', 240000, 'domain', 9000, 'tcp', 12000), 300, 150,
       if(number % 100 > 0, map(), map('truncated_network', 2)), if(number % 500 > 0, 0, 1), true, 0, 1, 2,
       arrayMap(i -> ({_inside("i")}, 9000000 / (i + 1) + cityHash64(number, i) % 1000, 4000000 / (i + 1), 3), range({{listed:UInt64}}))
FROM numbers({{windows:UInt64}})
SETTINGS max_block_size = 8192
"""

ANOMALIES = f"""
INSERT INTO anomalies
(capture_id, window_id, anomaly_id, run_id, version, window_start_ns, window_end_ns, type, signal, severity, message, metric,
 current_value, threshold, baseline_mean, deviation, source_ip, destination_ip, subject, incident_id, incident_start_ns, incident_count,
 explanation, hosts)
SELECT {{capture:String}}, intDiv(number * {{windows:UInt64}}, {{anomalies:UInt64}}) AS place, lower(hex(cityHash64(number, {{capture:String}}))), '', 1,
       ({{start_s:Int64}} + place * 10) * 1000000000 AS begins_ns, begins_ns + 10000000000,
       ['traffic_spike', 'port_scan', 'high_latency', 'packet_loss', 'protocol_anomaly', 'long_lived_conn'][1 + number % 6] AS kind,
       ['flood', 'vertical_scan', 'latency', 'retransmissions', 'protocol_appeared', 'old'][1 + number % 6], if(number % 5 > 0, 'medium', 'high'),
       concat('The ', kind, ' of window ', toString(place), ' is far from what is usual.'), 'bytes_per_s', 4e6, 2e6, 1e6, 3.5, source, '',
       source, lower(hex(cityHash64(intDiv(number, 4), {{capture:String}}))), begins_ns, 1 + number % 4, '{{{{}}}}', [source]
FROM (SELECT number, {_inside(_skewed(1, "500"))} AS source FROM numbers({{anomalies:UInt64}}))
""".replace("{{}}", "{}")

BASELINES = f"""
INSERT INTO baselines
(source, kind, subject, version, origin, capture_id, window_id, window_end_ns, windows, unit, mean, std, p95, p99, extra)
SELECT 'north/span0', kind, subject, number, 'learnt', {{capture:String}}, number, ({{start_s:Int64}} + number * 10) * 1000000000, number,
       'bytes/s', 1e6, 2e5, 1.4e6, 1.6e6, map('band_mean', 1.05e6, 'band_std', 2.1e5)
FROM
(
    SELECT number * 6 AS number, arrayJoin(['bandwidth', 'latency', 'protocol', 'connection']) AS kind, '' AS subject
    FROM numbers(intDiv({{windows:UInt64}}, 6))
    UNION ALL
    SELECT number * 60, 'bandwidth', arrayJoin(arrayMap(i -> {_inside("i")}, range({{learnt:UInt64}})))
    FROM numbers(intDiv({{windows:UInt64}}, 60))
)
"""

_ENDS = f"""
    toIPv6({_inside(_skewed(2, "2000"))}), toIPv6({_inside(_skewed(3, "9000"))}), 40000 + number % 20000,
    [443, 53, 22, 80, 8443][1 + number % 5], if(number % 5 = 1, 17, 6),
    {{start_s:Int64}} * 1000000000 + intDiv(number * {{seconds:Int64}} * 1000000, {{records:Int64}}) * 1000 AS begins_ns, begins_ns + 4000000000
"""

FLOWS = f"""
INSERT INTO flows
(capture_id, src_ip, dst_ip, src_port, dst_port, protocol, start_ns, end_ns, flow_id, window_id, end_reason, fwd_packets, bwd_packets,
 fwd_bytes, bwd_bytes, new_fwd_packets, new_bwd_packets)
SELECT {{capture:String}}, {_ENDS}, cityHash64(number, {{capture:String}}), intDiv(number * {{windows:UInt64}}, {{records:UInt64}}),
       'fin', 9, 8, 1200, 11000, 9, 8
FROM numbers({{first:UInt64}}, {{rows:UInt64}})
"""

VERDICTS = f"""
INSERT INTO classifications
(capture_id, src_ip, dst_ip, src_port, dst_port, protocol, start_ns, end_ns, flow_id, role, model, window_id, end_reason, fwd_packets,
 bwd_packets, new_fwd_packets, new_bwd_packets, class_name, confidence, attack_probability, is_uncertain, outside, reason_features,
 reason_values, reason_contributions)
SELECT {{capture:String}}, {_ENDS}, cityHash64(number, {{capture:String}}), 'champion', 'c0ffee000000',
       intDiv(number * {{windows:UInt64}}, {{records:UInt64}}), 'fin', 9, 8, 9, 8,
       multiIf(number % 40 = 3, 'PortScan', number % 90 = 5, 'DDoS', 'BENIGN') AS class, 0.5 + (cityHash64(number) % 500) / 1000 AS sure,
       if(class = 'BENIGN', 0.02, 0.97), sure < 0.55, 0.01, ['Flow Duration', 'Fwd Packets/s'], [1, 2], [0.4, 0.2]
FROM numbers({{first:UInt64}}, {{rows:UInt64}})
"""

PIPELINE = """
INSERT INTO pipeline (at_ns, process, figure, subject, value)
SELECT ({start_s:Int64} + number * 60) * 1000000000, 'sensor:1', one.1, one.2, one.3
FROM numbers({minutes:UInt64})
ARRAY JOIN arrayConcat(
    [('inserts', '', 60.), ('insert_seconds', '', 1.5), ('insert_p95_s', '', 0.05), ('insert_errors', '', 0.)],
    arrayMap(t -> ('rows', t, 2300.), ['packet_logs', 'windows', 'flows', 'classifications', 'anomalies', 'baselines', 'ledger', 'captures']),
    arrayMap(t -> ('lag_messages', concat('storage/', t), 2.), ['packets', 'windows', 'flows', 'classifications', 'anomalies', 'baselines'])
) AS one
"""

DRIFT = """
INSERT INTO model_drift (model, signal, version, windows, verdicts, mean, before, changes, changed_ns, changed_capture)
SELECT 'c0ffee000000', arrayJoin(['confidence', 'outside']), ({start_s:Int64} + {seconds:Int64}) * 1000000000, 8640, 190000, 0.75, 0.9, 1,
       ({start_s:Int64} + {seconds:Int64} - 600) * 1000000000, {capture:String}
"""

ROLES = """
INSERT INTO model_roles (role, changed_ns, fingerprint, previous, changed_by, action, reason)
SELECT 'champion', {start_s:Int64} * 1000000000, 'c0ffee000000', '', 'settings', 'configured', 'the setting model_path names it'
"""

_ONCE = (CAPTURES, LEDGER, TRAFFIC, WINDOWS, ANOMALIES, BASELINES, PIPELINE, DRIFT, ROLES)


def fill(store: Store, month: Month) -> None:
    """Put a month into a migrated store.

    Raises
    ------
    StoreError
        ClickHouse refuses a statement.
    """
    values = month.values()
    for statement in _ONCE:
        store.command(statement, values)
    for first in range(0, month.records, ROWS_AT_ONCE):
        part = {**values, "first": first, "rows": min(ROWS_AT_ONCE, month.records - first)}
        for statement in (FLOWS, VERDICTS):
            store.command(statement, part)


def clear(store: Store, month: Month) -> None:
    """Take a month out of a store again.

    Raises
    ------
    StoreError
        ClickHouse refuses a statement.
    """
    found = store.query(
        "SELECT capture_id FROM captures WHERE startsWith(capture_id, {c:String})", {"c": month.capture_id}
    )
    store.delete_captures([str(row["capture_id"]) for row in found])
    store.command(f"DELETE FROM pipeline WHERE process = '{SENSOR_PROCESS}'")
    store.command(f"DELETE FROM model_drift WHERE model = '{MODEL}'")
    store.command(f"DELETE FROM model_roles WHERE fingerprint = '{MODEL}'")
