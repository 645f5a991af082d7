/** Captures: what there is, a file to upload, an interface to listen on. */
import { useRef, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { address, get, send, upload } from "../api";
import { captureName, useCaptures } from "../captures";
import { Async, Badge, type Column, Empty, Failure, KeyValue, Loading, Pager, Panel, Table, ViewLink, ViewTitle } from "../components";
import { useData } from "../data";
import { bytes, count, plural } from "../format";
import { useParam } from "../scope";
import { moment, secondsOf, span } from "../time";
import type { Capture, Captures, LiveStatus, Schemas, Uploaded } from "../types";

const PAGE = 25;

export default function CapturesView() {
  const [offsetText, setOffset] = useParam("offset", "0");
  const offset = Number(offsetText) || 0;
  const params = { limit: PAGE, offset };
  const page = useData(address("/api/captures", params), (signal) => get<Captures>("/api/captures", params, signal), 3000);
  return (
    <>
      <ViewTitle title="Captures">Files that were read, and interfaces that were listened on</ViewTitle>
      <div class="grid">
        <Upload />
        <Live />
      </div>
      <Panel title={page.data ? plural(page.data.total, "capture") : "Captures"}>
        <Async of={page}>
          {(found) =>
            found.total === 0 ? (
              <Empty title="None yet." />
            ) : (
              <>
                <CaptureTable captures={found.captures} />
                <Pager offset={offset} limit={PAGE} total={found.total} onOffset={(next) => setOffset(String(next))} />
              </>
            )
          }
        </Async>
      </Panel>
    </>
  );
}

export function StateBadge({ capture }: { capture: Capture }) {
  if (capture.state === "failed") return <Badge tone="high">failed</Badge>;
  if (capture.state === "running") return <Badge tone="info" sign="▸">{capture.source === "live" ? "live" : "reading"}</Badge>;
  return capture.is_complete ? <Badge tone="good">complete</Badge> : <Badge tone="info" sign="▸">storing</Badge>;
}

function CaptureTable({ captures }: { captures: Capture[] }) {
  const columns: Column<Capture>[] = [
    {
      key: "name",
      title: "Name",
      grow: true,
      sort: captureName,
      cell: (one) => (
        <>
          <ViewLink to={`/captures/${one.capture_id}`} more={{ capture: null, from: null, to: null }} class="name break">
            {captureName(one)}
          </ViewLink>
          {one.error && <div class="text-high small">{one.error}</div>}
        </>
      ),
    },
    { key: "state", title: "State", sort: (one) => one.state, cell: (one) => <StateBadge capture={one} /> },
    { key: "packets", title: "Packets", numeric: true, sort: (one) => one.packets, cell: (one) => count(one.packets) },
    { key: "bytes", title: "Bytes", numeric: true, minor: true, sort: (one) => one.bytes, cell: (one) => bytes(one.bytes) },
    { key: "span", title: "Spans", numeric: true, minor: true, sort: spanOf, cell: (one) => span(spanOf(one)) },
    { key: "first", title: "First packet (UTC)", minor: true, sort: (one) => one.first_packet, cell: (one) => moment(one.first_packet) },
    { key: "started", title: "Read (UTC)", minor: true, sort: (one) => one.started_at, cell: (one) => moment(secondsOf(one.started_at)) },
    { key: "sensor", title: "Sensor", minor: true, sort: (one) => one.sensor, cell: (one) => one.sensor },
  ];
  return <Table caption="Captures" columns={columns} rows={captures} rowKey={(one) => one.capture_id} href={(one) => `/captures/${one.capture_id}`} />;
}

const spanOf = (capture: Capture): number | null =>
  capture.first_packet === null || capture.last_packet === null ? null : capture.last_packet - capture.first_packet;

function Upload() {
  const [, navigate] = useLocation();
  const { reload } = useCaptures();
  const [sending, setSending] = useState<{ name: string; share: number } | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [isOver, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const begin = async (file: File | undefined) => {
    if (!file || sending) return;
    setError(null);
    setSending({ name: file.name, share: 0 });
    try {
      const path = address("/api/captures/upload", { name: file.name });
      const done = await upload<Uploaded>(path, file, (share) => setSending({ name: file.name, share }));
      reload();
      navigate(`/captures/${done.capture_id}`);
    } catch (failed) {
      setError(failed as Error);
      setSending(null);
    }
  };
  return (
    <Panel title="Read a file">
      {error && <Failure error={error} />}
      <div
        class={isOver ? "drop is-over" : "drop"}
        onDragOver={(event) => (event.preventDefault(), setOver(true))}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void begin(event.dataTransfer?.files[0]);
        }}
      >
        {sending ? (
          <>
            <p class="break">
              {sending.share < 1 ? `Sending ${sending.name}` : `Taking in ${sending.name}`}: {Math.floor(100 * sending.share)} %
            </p>
            <progress max={1} value={sending.share} aria-label="How much was sent" />
          </>
        ) : (
          <>
            <p>Drop a pcap or pcapng file here, packed by gzip or not, or</p>
            <input
              ref={picker}
              type="file"
              id="capture-file"
              class="sr-only"
              accept=".pcap,.pcapng,.cap,.gz,application/vnd.tcpdump.pcap"
              aria-label="Capture file"
              tabIndex={-1}
              onChange={(event) => void begin(event.currentTarget.files?.[0])}
            />
            <button type="button" class="button button-primary" onClick={() => picker.current?.click()}>
              Choose a file
            </button>
          </>
        )}
      </div>
      <p class="muted small">It is kept on this machine, so that the packets behind a finding can be shown.</p>
    </Panel>
  );
}

function Live() {
  const status = useData("live", (signal) => get<LiveStatus>("/api/control/capture/status", {}, signal), 2000);
  const config = useData("config", (signal) => get<Schemas["ConfigAnswer"]>("/api/control/config", {}, signal));
  const [error, setError] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);
  const act = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (failed) {
      setError(failed as Error);
    }
    setBusy(false);
    status.reload();
  };
  return (
    <Panel title="Listen on an interface">
      {error && <Failure error={error} />}
      {!status.data || !config.data ? (
        (status.error ?? config.error) ? <Failure error={(status.error ?? config.error) as Error} onRetry={() => (status.reload(), config.reload())} /> : <Loading />
      ) : status.data.running ? (
        <Running now={status.data} isBusy={isBusy} onStop={() => void act(() => send("POST", "/api/control/capture/stop"))} />
      ) : config.data.mode === "live" ? (
        <Start configured={config.data.interface} isBusy={isBusy} onStart={(body) => void act(() => send("POST", "/api/control/capture/start", body))} />
      ) : (
        <p class="muted">
          This service was started for files only. <code>spanwatch up --interface eth0</code>, or <code>SPANWATCH_MODE=live</code>, lets it
          capture from an interface as well.
        </p>
      )}
    </Panel>
  );
}

function Running({ now, isBusy, onStop }: { now: LiveStatus; isBusy: boolean; onStop: () => void }) {
  return (
    <>
      <KeyValue
        of={[
          ["Interface", <span class="mono">{now.interface}</span>],
          ["For", now.planned_duration ? `${span(now.duration)} of ${span(now.planned_duration)}` : span(now.duration)],
          ["Packets", count(now.packets)],
          ["Lost in the kernel", now.packets_lost ? <span class="text-high">{count(now.packets_lost)}</span> : count(now.packets_lost)],
          ["Written to", now.output_file],
        ]}
      />
      <div class="row actions">
        <button type="button" class="button button-danger" disabled={isBusy} onClick={onStop}>
          {isBusy ? "Stopping…" : "Stop"}
        </button>
        {now.capture_id && <ViewLink to="/" more={{ capture: now.capture_id }}>Watch it</ViewLink>}
      </div>
    </>
  );
}

function Start({ configured, isBusy, onStart }: {
  configured: string | null;
  isBusy: boolean;
  onStart: (body: Record<string, unknown>) => void;
}) {
  const begin = (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(given.get(name) ?? "").trim();
    onStart({
      interface: text("interface") || null,
      filter: text("filter") || null,
      duration: text("duration") ? Number(text("duration")) : null,
    });
  };
  return (
    <form class="form-row" onSubmit={begin}>
      <label>
        Interface
        <input name="interface" size={12} maxLength={15} placeholder={configured ?? "eth0"} required={!configured} autocomplete="off" spellcheck={false} />
      </label>
      <label>
        Filter, as tcpdump's
        <input name="filter" size={20} maxLength={4096} placeholder="not port 22" autocomplete="off" spellcheck={false} />
      </label>
      <label>
        Seconds
        <input name="duration" type="number" min={1} step="any" class="short" placeholder="no end" />
      </label>
      <button type="submit" class="button button-primary" disabled={isBusy}>
        {isBusy ? "Starting…" : "Start"}
      </button>
    </form>
  );
}
