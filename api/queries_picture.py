"""SQL of an anomaly's picture: what its metric was in the windows around it."""

from __future__ import annotations

from api.analysis_rows import AnomalyRow, PicturePoint
from infra.store import Store

_SECONDS = "((window_end_ns - window_start_ns) / 1e9)"

# Under overload whole flows are left out: amounts are divided by the share that was kept, as the detectors do.
_PER_S = f"/ sampling_rate / {_SECONDS}"

_SCANNER = "s.src_ip = {source_ip:String}"
_FROM_TO = "c.src_ip = {source_ip:String} AND c.dst_ip = {destination_ip:String}"
_TO_FROM = "c.src_ip = {destination_ip:String} AND c.dst_ip = {source_ip:String}"
_ANYONE_TO = "({source_ip:String} = '' OR c.src_ip = {source_ip:String}) AND c.dst_ip = {destination_ip:String}"


def _sent(count: str) -> str:
    """Return what went from the source to the destination in the notable conversations of a window."""
    parts = f"multiIf({_FROM_TO}, c.{count}_forward, {_TO_FROM}, c.{count}_backward, 0)"
    return f"arraySum(c -> {parts}, conversations)"


_METRICS: dict[str, str] = {
    "bytes_per_s": f"w.bytes {_PER_S}",
    "packets_per_s": f"record_count {_PER_S}",
    "mean_rtt_ms": "if(rtt_count = 0, NULL, rtt_sum_ns / rtt_count / 1e6)",
    "packet_loss_percent": "if(tcp_data_segments = 0, NULL, 100 * tcp_retransmissions / tcp_data_segments)",
    "protocol_share_points": "if(record_count = 0, NULL, 100 * protocol_packets[{protocol:String}] / record_count)",
    "failed_ports": f"arrayMax(s -> if({_SCANNER}, s.max_ports, 0), scan_sources)",
    "failed_hosts": f"arrayMax(s -> if({_SCANNER} AND s.max_ports > 0, s.max_hosts, 0), scan_sources)",
    "failed_arp_hosts": f"arrayMax(s -> if({_SCANNER} AND s.max_ports = 0, s.max_hosts, 0), scan_sources)",
    "connections_begun": f"arraySum(c -> if({_ANYONE_TO}, c.begun, 0), service_clients) / sampling_rate",
    "sources": "arrayMax(r -> if(r.dst_ip = {destination_ip:String}, r.sources, 0), responders)",
    "connection_age_s": "age_max_ns / 1e9",
}
"""What a window tells of each metric of the detectors; of a source or a destination where the metric is theirs."""

_OF_SOMEBODY: dict[str, str] = {
    "host_spike": (
        f"arraySum(h -> if(h.ip = {{subject:String}}, h.bytes_sent + h.bytes_received, 0), host_traffic) {_PER_S}"
    ),
    "packet_flood": f"arraySum(c -> if({_ANYONE_TO}, c.packets_forward, 0), service_clients) {_PER_S}",
    "flow_loss": f"if({_sent('data_segments')} = 0, NULL, 100 * {_sent('retransmissions')} / {_sent('data_segments')})",
}
"""The same by signal, where it is not about the whole network."""

_PICTURE = """
SELECT window_id, window_start_ns, CAST({value} AS Nullable(Float64)) AS value
FROM windows_now AS w
WHERE capture_id = {{capture_id:String}} AND window_id BETWEEN {{first:UInt32}} AND {{last:UInt32}}
ORDER BY window_id
"""


def picture(store: Store, row: AnomalyRow, before: int, after: int) -> list[PicturePoint]:
    """Return the values of an anomaly's metric in the windows around it; none of a metric that no column tells.

    Parameters
    ----------
    before, after : int
        Windows to show on each side.
    """
    value = _OF_SOMEBODY.get(row.signal) or _METRICS.get(row.metric)
    if value is None:
        return []
    values = {
        "capture_id": row.capture_id,
        "first": max(0, row.window_id - before),
        "last": row.window_id + after,
        "protocol": row.protocol,
        "source_ip": row.source_ip,
        "destination_ip": row.destination_ip,
        "subject": row.subject,
    }
    sql = _PICTURE.format(value=value)
    return [PicturePoint.model_validate(point) for point in store.query(sql, values)]
