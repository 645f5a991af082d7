/** What happens now: traffic as it comes in, who sends it, and what is wrong. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get } from "../api";
import { captureName, useCaptures } from "../captures";
import {
  Async, Badge, Bars, Chart, Empty, Figures, HostLink, Loading, Panel, SeverityBadge, ViewLink, ViewTitle,
} from "../components";
import { useData } from "../data";
import { bits, bytes, count, ms, percent, plural, pps } from "../format";
import { type LiveEvent, type LiveState, useLive } from "../live";
import { useScope } from "../scope";
import { moment, span } from "../time";
import { protocolSeries, retransmissionShare, talkersOf } from "../traffic";
import type { Anomalies, Anomaly, Capture, LiveStatus, VerdictsSummary, Window, Windows } from "../types";

/** An hour of windows of 10 s: what is drawn, and all that is kept. */
const MOST_WINDOWS = 360;
const MOST_ANOMALIES = 12;
const MOST_CLASSES = 8;
/** Least time between two questions for the verdicts. */
const ATTACKS_MS = 2000;
/** Windows whose talkers and protocols are added up. */
const RECENT = 30;

export default function Now() {
  const { current, isLoaded, reload } = useCaptures();
  const scope = useScope();
  if (!isLoaded) return <Loading />;
  if (!current) {
    return (
      <>
        <ViewTitle title="Now" />
        <Empty title="Nothing has been captured yet.">
          <ViewLink to="/captures">Upload a capture or start a live one</ViewLink>
        </Empty>
      </>
    );
  }
  return <Traffic key={current.capture_id} capture={current} isPinned={Boolean(scope.capture)} onOther={reload} />;
}

function Traffic({ capture, isPinned, onOther }: { capture: Capture; isPinned: boolean; onOther: () => void }) {
  const { windows, anomalies, judged, state, error } = useTraffic(capture, isPinned, onOther);
  const last = windows[windows.length - 1];
  return (
    <>
      <ViewTitle title="Now" actions={<Connection state={state} />}>
        {capture.source === "live" ? "Live from " : "From the file "}
        <ViewLink to={`/captures/${capture.capture_id}`}>{captureName(capture)}</ViewLink>
        {last && `, up to ${moment(last.window_end)} UTC`}
      </ViewTitle>
      {error && <p class="text-high" role="alert">{error}</p>}
      {last ? <Latest window={last} /> : <Loading what="Waiting for the first window" />}
      <div class="split">
        <div class="stack">
          <Panel title="Traffic">
            <TrafficChart windows={windows} anomalies={anomalies} />
          </Panel>
          <Wrong anomalies={anomalies} />
        </div>
        <div class="stack">
          <Attacks capture={capture.capture_id} judged={judged} />
          <Panel title="Protocols">
            <ProtocolsChart windows={windows} />
          </Panel>
          <Talkers windows={windows} />
          <LiveCapture />
        </div>
      </div>
    </>
  );
}

function Connection({ state }: { state: LiveState }) {
  if (state === "open") return <Badge tone="good">listening</Badge>;
  return <Badge tone="medium">{state === "connecting" ? "connecting" : "connection lost, trying again"}</Badge>;
}

/** The newest windows, anomalies and attacks of a capture: what is stored, and then what comes in. */
function useTraffic(capture: Capture, isPinned: boolean, onOther: () => void) {
  const id = capture.capture_id;
  const [windows, setWindows] = useState<Window[]>([]);
  const [anomalies, setAnomalies] = useState<Anomaly[]>([]);
  const [judged, setJudged] = useState(0);
  const [error, setError] = useState("");
  const take = useCallback(
    (event: LiveEvent) => {
      if (event.event === "window") {
        if (event.data.capture_id === id) setWindows((known) => withWindows(known, [event.data]));
        else if (!isPinned) onOther();
      } else if (event.event === "anomaly" && event.data.capture_id === id) {
        setAnomalies((known) => withAnomalies(known, [event.data]));
      } else if (event.event === "classification" && event.data.capture_id === id) {
        setJudged((times) => times + 1);
      }
    },
    [id, isPinned, onOther],
  );
  const state = useLive({ kinds: ["windows", "anomalies", "classifications"], capture: isPinned ? id : undefined, onEvent: take });
  const isAgain = useRef(false);
  useEffect(() => {
    // What came while nobody listened is read once more, also after the connection had broken.
    if (state !== "open" && isAgain.current) return undefined;
    isAgain.current = true;
    const stop = new AbortController();
    stored(id, stop.signal).then(
      ([known, found]) => {
        setWindows((now) => withWindows(now, known));
        setAnomalies((now) => withAnomalies(now, found));
        setError("");
      },
      (failed: Error) => !stop.signal.aborted && setError(failed.message),
    );
    return () => stop.abort();
  }, [id, state === "open"]);
  return { windows, anomalies, judged, state, error };
}

async function stored(capture: string, signal: AbortSignal): Promise<[Window[], Anomaly[]]> {
  const [first, found] = await Promise.all([
    get<Windows>("/api/metrics/", { capture, limit: 1 }, signal),
    get<Anomalies>("/api/anomalies/", { capture, limit: MOST_ANOMALIES }, signal),
  ]);
  const offset = Math.max(0, first.total - MOST_WINDOWS);
  const page = await get<Windows>("/api/metrics/", { capture, limit: MOST_WINDOWS, offset }, signal);
  return [page.metrics, found.anomalies];
}

function withWindows(known: Window[], more: Window[]): Window[] {
  const by = new Map(known.map((window) => [window.window_id, window]));
  for (const window of more) {
    // A late packet corrects a window: the one with more packets is the newer one.
    const before = by.get(window.window_id);
    if (!before || before.record_count <= window.record_count) by.set(window.window_id, window);
  }
  return [...by.values()].sort((a, b) => a.window_id - b.window_id).slice(-MOST_WINDOWS);
}

function withAnomalies(known: Anomaly[], more: Anomaly[]): Anomaly[] {
  const by = new Map([...known, ...more].map((anomaly) => [anomaly.anomaly_id, anomaly]));
  return [...by.values()].sort((a, b) => b.window_start - a.window_start).slice(0, MOST_ANOMALIES);
}

function Latest({ window }: { window: Window }) {
  const { bandwidth, connections, latency } = window;
  const size = window.window_end - window.window_start;
  const share = retransmissionShare(window);
  return (
    <Figures
      of={[
        { label: "Packets", value: pps(window.record_count / size), note: `${count(window.record_count)} in the last ${span(size)}` },
        { label: "Traffic", value: bits((8 * bandwidth.total_bytes) / size), note: bytes(bandwidth.total_bytes) },
        { label: "Hosts", value: count(window.hosts) },
        { label: "Connections", value: count(connections.total), note: connections.failed ? `${count(connections.failed)} failed` : undefined },
        { label: "Round trip", value: ms(latency.mean_rtt), note: latency.p95_rtt === null ? undefined : `p95 ${ms(latency.p95_rtt)}` },
        { label: "Retransmitted", value: percent(share), note: "of data segments" },
      ]}
    />
  );
}

function TrafficChart({ windows, anomalies }: { windows: Window[]; anomalies: Anomaly[] }) {
  const x = useMemo(() => windows.map((window) => window.window_start), [windows]);
  const series = useMemo(
    () => [
      { label: "Bits/s", colour: "chart-1", fill: true, values: windows.map(bitRate) },
      { label: "Packets/s", colour: "chart-2", isSecond: true, values: windows.map((one) => one.record_count / (one.window_end - one.window_start)) },
    ],
    [windows],
  );
  const marks = useMemo(
    () => {
      // One mark a window, in the colour of its worst.
      const worst = new Map<number, Anomaly>();
      for (const one of anomalies) if (worst.get(one.window_id)?.severity !== "high") worst.set(one.window_id, one);
      return [...worst.values()].map((one) => ({ at: one.window_start, until: one.window_end, colour: one.severity }));
    },
    [anomalies],
  );
  return (
    <>
      <Chart title="Traffic of the last windows" x={x} series={series} format={bits} format2={pps} marks={marks} height={230} />
      <p class="muted small">Shaded: windows with an anomaly.</p>
    </>
  );
}

const bitRate = (window: Window) => (8 * window.bandwidth.total_bytes) / (window.window_end - window.window_start);

function ProtocolsChart({ windows }: { windows: Window[] }) {
  const x = useMemo(() => windows.map((window) => window.window_start), [windows]);
  const series = useMemo(() => protocolSeries(windows, 5), [windows]);
  if (!windows.length) return <p class="muted">No windows yet.</p>;
  return <Chart title="Bits per second by protocol" x={x} series={series} format={bits} height={210} />;
}

function Wrong({ anomalies }: { anomalies: Anomaly[] }) {
  return (
    <Panel title="What is wrong" actions={<ViewLink to="/anomalies">All anomalies</ViewLink>}>
      {anomalies.length === 0 && <p class="muted">Nothing unusual has been found.</p>}
      <ul class="feed" aria-live="polite">
        {anomalies.map((one) => (
          <li key={one.anomaly_id}>
            <time class="muted nowrap">{moment(one.window_start, false)}</time>
            <SeverityBadge severity={one.severity} />
            <ViewLink to={`/anomalies/${one.anomaly_id}`}>{one.message}</ViewLink>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** What the classifier names attacks; asked again when the API tells of new ones. */
function Attacks({ capture, judged }: { capture: string; judged: number }) {
  const turn = useCalm(judged, ATTACKS_MS);
  const said = useData(`verdicts ${capture} ${turn}`, (signal) => get<VerdictsSummary>("/api/classifications/summary", { capture }, signal), 15_000);
  return (
    <Panel title="Attacks, as the classifier names them" actions={<ViewLink to="/flows" more={{ is_attack: "true" }}>Flows</ViewLink>}>
      <Async of={said}>
        {({ classes, flows, uncertain }) => {
          const attacks = classes.filter((one) => one.is_attack).slice(0, MOST_CLASSES);
          return (
            <>
              {attacks.length === 0 && <p class="muted">None.</p>}
              <Bars
                label="Flows by class"
                of={attacks.map((one) => ({
                  key: one.class_name,
                  label: <ViewLink to="/flows" more={{ class: one.class_name }}>{one.class_name}</ViewLink>,
                  value: one.flows,
                  shown: plural(one.flows, "flow"),
                }))}
              />
              <p class="muted small">Of {plural(flows, "flow")} judged; {count(uncertain)} uncertain.</p>
            </>
          );
        }}
      </Async>
    </Panel>
  );
}

/** A number that follows another one, but no more often than every `ms`. */
function useCalm(value: number, ms: number): number {
  const [calm, setCalm] = useState(value);
  const latest = useRef(value);
  latest.current = value;
  const isWaiting = useRef(0);
  useEffect(() => {
    if (!isWaiting.current && latest.current !== calm) {
      isWaiting.current = window.setTimeout(() => {
        isWaiting.current = 0;
        setCalm(latest.current);
      }, ms);
    }
  }, [value, calm, ms]);
  useEffect(() => () => window.clearTimeout(isWaiting.current), []);
  return calm;
}

function Talkers({ windows }: { windows: Window[] }) {
  const recent = useMemo(() => windows.slice(-RECENT), [windows]);
  const talkers = useMemo(() => talkersOf(recent, 10), [recent]);
  const title = recent.length ? `Top talkers, ${span(recent[recent.length - 1].window_end - recent[0].window_start)}` : "Top talkers";
  return (
    <Panel title={title}>
      <Bars
        label="Bytes sent by address"
        of={talkers.map(([address, sent]) => ({ key: address, label: <HostLink address={address} />, value: sent, shown: bytes(sent) }))}
      />
    </Panel>
  );
}

function LiveCapture() {
  const status = useData("live", (signal) => get<LiveStatus>("/api/control/capture/status", {}, signal), 3000);
  return (
    <Panel title="Live capture" actions={<ViewLink to="/captures">Captures</ViewLink>}>
      <Async of={status}>
        {(now) =>
          now.running ? (
            <p>
              <Badge tone="good">running</Badge> <span class="mono">{now.interface}</span> since {now.start_time?.slice(11, 19)},{" "}
              {plural(now.packets ?? 0, "packet")}
              {now.packets_lost ? <span class="text-high">, {count(now.packets_lost)} lost in the kernel</span> : ", none lost"}
            </p>
          ) : (
            <p class="muted">No interface is being captured.</p>
          )
        }
      </Async>
    </Panel>
  );
}
