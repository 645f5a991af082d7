/** Windows: traffic over the time range, and everything about one of them. */
import { useMemo } from "preact/hooks";
import { get, getText, address } from "../api";
import { useCaptures } from "../captures";
import {
  Async, Badge, Bars, Chart, type Column, Download, Empty, Figures, HostLink, KeyValue, Pager, Panel, SeverityBadge, Table,
  ViewLink, ViewTitle,
} from "../components";
import { useData } from "../data";
import { bits, bytes, count, ms, percent, plural, pps, words } from "../format";
import { scopeParams, useParam, useScope, useSetParams, useViewAddress } from "../scope";
import { moment, span } from "../time";
import { protocolsOf, retransmissionShare } from "../traffic";
import type { Anomaly, Schemas, Window, Windows } from "../types";

const PAGE = 50;
/** Windows that a chart is asked for; beyond it, a shorter time range tells more anyway. */
const MOST_CHARTED = 50_000;

export default function WindowsView() {
  const { current } = useCaptures();
  const scope = useScope();
  const [chosen] = useParam("window");
  const [offsetText, setOffset] = useParam("offset", "0");
  const offset = Number(offsetText) || 0;
  const params = { ...scopeParams(scope), limit: PAGE, offset };
  // A live capture gets new windows; a file does not.
  const every = current?.source === "live" && current.state === "running" ? 5000 : 0;
  const page = useData(address("/api/metrics/", params), (signal) => get<Windows>("/api/metrics/", params, signal), every);
  return (
    <>
      <ViewTitle title="Windows" actions={<Download path={address("/api/export/windows", { ...scopeParams(scope), format: "csv" })} name="windows.csv">CSV</Download>}>
        {current ? `${span(current.window_size)} of traffic each` : "No capture yet"}
      </ViewTitle>
      <Async of={page}>
        {(found) =>
          found.total === 0 ? (
            <Empty title="No windows in this time range.">Choose another range or capture above.</Empty>
          ) : (
            <div class="stack">
              {found.total <= MOST_CHARTED ? (
                <Charts total={found.total} />
              ) : (
                <Empty title={`${count(found.total)} windows are too many for a chart.`}>Choose a shorter time range above.</Empty>
              )}
              {chosen && <OneWindow id={chosen} capture={found.capture_id ?? ""} />}
              <Panel title={plural(found.total, "window")}>
                <WindowTable windows={found.metrics} chosen={chosen} />
                <Pager offset={offset} limit={PAGE} total={found.total} onOffset={(next) => setOffset(String(next))} />
              </Panel>
            </div>
          )
        }
      </Async>
    </>
  );
}

interface Points {
  x: number[];
  bitRates: number[];
  packetRates: number[];
  rtt: (number | null)[];
  lost: (number | null)[];
}

const COLUMNS = ["window_start_ns", "window_end_ns", "bytes", "record_count", "rtt_count", "rtt_sum_ns", "tcp_retransmissions", "tcp_data_segments"];

/** The few columns that are drawn, of every window of the range: a hundredth of the whole windows. */
function pointsOf(csv: string): Points {
  const rows = csv.trim().split("\n").slice(1).map((line) => line.split(",").map(Number));
  return {
    x: rows.map(([start]) => start / 1e9),
    bitRates: rows.map(([start, end, octets]) => (8 * octets) / ((end - start) / 1e9)),
    packetRates: rows.map(([start, end, , packets]) => packets / ((end - start) / 1e9)),
    rtt: rows.map(([, , , , n, sum]) => (n ? sum / n / 1e6 : null)),
    lost: rows.map(([, , , , , , again, segments]) => (segments ? again / segments : null)),
  };
}

function Charts({ total }: { total: number }) {
  const scope = useScope();
  const setParams = useSetParams();
  const params = { ...scopeParams(scope), format: "csv", columns: COLUMNS.join(",") };
  const key = `${address("/api/export/windows", params)} ${total}`;
  const drawn = useData(key, async (signal) => pointsOf(await getText("/api/export/windows", params, signal)));
  const zoom = (from: number, to: number) => setParams({ from: Math.floor(from * 1000), to: Math.ceil(to * 1000), offset: null });
  return <Async of={drawn}>{(points) => <Drawn points={points} onRange={zoom} />}</Async>;
}

function Drawn({ points, onRange }: { points: Points; onRange: (from: number, to: number) => void }) {
  const traffic = useMemo(
    () => [
      { label: "Bits/s", values: points.bitRates, fill: true },
      { label: "Packets/s", values: points.packetRates, colour: "chart-2", isSecond: true },
    ],
    [points],
  );
  const quality = useMemo(
    () => [
      { label: "Mean round trip", values: points.rtt, colour: "chart-4" },
      { label: "Retransmitted", values: points.lost, colour: "chart-3", isSecond: true },
    ],
    [points],
  );
  return (
    <div class="grid grid-2">
      <Panel title="Traffic">
        <Chart title="Traffic" x={points.x} series={traffic} format={bits} format2={pps} onRange={onRange} />
      </Panel>
      <Panel title="Round trips and retransmissions">
        <Chart title="Round trips and retransmissions" x={points.x} series={quality} format={ms} format2={percent} onRange={onRange} />
      </Panel>
      <p class="muted small panel-wide">Draw over a chart with the mouse to look at that time only.</p>
    </div>
  );
}

function WindowTable({ windows, chosen }: { windows: Window[]; chosen: string }) {
  const to = useViewAddress();
  const [offset] = useParam("offset");
  const hrefOf = (window: Window) => to("/windows", { window: window.window_id, offset });
  const columns: Column<Window>[] = [
    { key: "id", title: "Window", sort: (one) => one.window_id, cell: (one) => <ViewLink to="/windows" more={{ window: one.window_id, offset }}>{one.window_id}</ViewLink> },
    { key: "start", title: "Start (UTC)", sort: (one) => one.window_start, cell: (one) => moment(one.window_start) },
    { key: "packets", title: "Packets", numeric: true, sort: (one) => one.record_count, cell: (one) => count(one.record_count) },
    { key: "bits", title: "Traffic", numeric: true, sort: (one) => one.bandwidth.total_bytes, cell: (one) => bits((8 * one.bandwidth.total_bytes) / (one.window_end - one.window_start)) },
    { key: "hosts", title: "Hosts", numeric: true, minor: true, sort: (one) => one.hosts, cell: (one) => count(one.hosts) },
    { key: "connections", title: "Connections", numeric: true, minor: true, sort: (one) => one.connections.total, cell: (one) => count(one.connections.total) },
    { key: "failed", title: "Failed", numeric: true, minor: true, sort: (one) => one.connections.failed, cell: (one) => count(one.connections.failed) },
    { key: "rtt", title: "Round trip", numeric: true, minor: true, sort: (one) => one.latency.mean_rtt, cell: (one) => ms(one.latency.mean_rtt) },
    { key: "p95", title: "p95", numeric: true, minor: true, sort: (one) => one.latency.p95_rtt, cell: (one) => ms(one.latency.p95_rtt) },
    { key: "lost", title: "Retransmitted", numeric: true, minor: true, sort: retransmissionShare, cell: (one) => percent(retransmissionShare(one)) },
    { key: "state", title: "", minor: true, cell: (one) => <Flags window={one} /> },
  ];
  return (
    <Table caption="Windows" columns={columns} rows={windows} rowKey={(one) => one.window_id} href={hrefOf} isMarked={(one) => String(one.window_id) === chosen} />
  );
}

function Flags({ window }: { window: Window }) {
  return (
    <>
      {!window.is_complete && <Badge tone="medium">incomplete</Badge>}
      {window.late_packets > 0 && <Badge>{count(window.late_packets)} late</Badge>}
      {window.sampling_rate < 1 && <Badge tone="medium">sampled {percent(window.sampling_rate)}</Badge>}
    </>
  );
}

function OneWindow({ id, capture }: { id: string; capture: string }) {
  const setParams = useSetParams();
  const path = `/api/metrics/${encodeURIComponent(id)}`;
  const one = useData(`${path} ${capture}`, (signal) => get<Window>(path, { capture }, signal));
  const wrong = useData(`wrong ${id} ${capture}`, (signal) =>
    get<Schemas["WindowAnomaliesAnswer"]>(`/api/anomalies/window/${encodeURIComponent(id)}`, { capture }, signal),
  );
  return (
    <Panel
      title={`Window ${id}`}
      actions={
        <button type="button" class="button button-small" onClick={() => setParams({ window: null })}>
          Close
        </button>
      }
    >
      <Async of={one}>{(window) => <Detail window={window} anomalies={wrong.data?.anomalies ?? []} />}</Async>
    </Panel>
  );
}

function Detail({ window, anomalies }: { window: Window; anomalies: Anomaly[] }) {
  const { bandwidth, connections, latency, tcp } = window;
  const range = { from: Math.floor(window.window_start * 1000), to: Math.ceil(window.window_end * 1000) };
  const talkers = (list: unknown) =>
    (list as [string, number][]).map(([ip, octets]) => ({ key: ip, label: <HostLink address={ip} />, value: octets, shown: bytes(octets) }));
  const protocols = protocolsOf([window]);
  return (
    <div class="stack">
      <p class="muted">
        {moment(window.window_start)} – {moment(window.window_end, false)} UTC · <ViewLink to="/flows" more={range}>its flows</ViewLink>
      </p>
      {anomalies.length > 0 && (
        <ul class="feed">
          {anomalies.map((one) => (
            <li key={one.anomaly_id}>
              <SeverityBadge severity={one.severity} />
              <ViewLink to={`/anomalies/${one.anomaly_id}`}>{one.message}</ViewLink>
            </li>
          ))}
        </ul>
      )}
      <Figures
        of={[
          { label: "Packets", value: count(window.record_count), note: pps(bandwidth.avg_pps) },
          { label: "Bytes", value: bytes(bandwidth.total_bytes), note: bits(bandwidth.avg_bits_per_s) },
          { label: "Hosts", value: count(window.hosts) },
          { label: "Connections", value: count(connections.total), note: `${count(connections.failed)} failed, ${count(connections.half_open)} half open` },
          { label: "Round trip", value: ms(latency.mean_rtt), note: `p95 ${ms(latency.p95_rtt)}, max ${ms(latency.max_rtt)}` },
          { label: "Retransmitted", value: percent(retransmissionShare(window)), note: `${count(tcp.retransmissions)} of ${count(tcp.data_segments)}` },
        ]}
      />
      <div class="grid grid-4">
        <section>
          <h3>Senders</h3>
          <Bars label="Bytes by sender" of={talkers(bandwidth.top_src_bytes)} />
        </section>
        <section>
          <h3>Receivers</h3>
          <Bars label="Bytes by receiver" of={talkers(bandwidth.top_dst_bytes)} />
        </section>
        <section>
          <h3>Protocols</h3>
          <Bars
            label="Bytes by protocol"
            of={protocols.slice(0, 10).map(([name, octets]) => ({ key: name, label: name, value: octets, shown: bytes(octets), note: percent(window.protocol[name].byte_share) }))}
          />
        </section>
        <section>
          <h3>TCP</h3>
          <KeyValue
            of={[
              ["Attempted", count(connections.attempted)],
              ["Established", count(connections.established)],
              ["Handshake", ms(latency.mean_handshake_rtt)],
              ["Oldest", span(connections.max_age_s)],
              ...Object.entries(tcp.analysis).map(([name, n]): [string, string] => [words(name), count(n)]),
            ]}
          />
        </section>
      </div>
    </div>
  );
}
