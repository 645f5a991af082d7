/** The report on a capture: what is wrong first, then what it was like. */
import { useMemo } from "preact/hooks";
import { address } from "../api";
import { captureName } from "../captures";
import { bits, bytes, count, ms, percent, plural, pps, words } from "../format";
import { LedgerPanel } from "./ledger";
import { moment, span } from "../time";
import type { Report } from "../types";
import {
  Badge, Bars, Chart, type Column, Copy, Download, Figures, HostLink, KeyValue, Panel, SeverityBadge, Table, ViewLink,
} from ".";

const SHOWN_INCIDENTS = 30;

export function CaptureReport({ report }: { report: Report }) {
  const { capture, summary } = report;
  const seconds = capture.first_packet === null || capture.last_packet === null ? null : capture.last_packet - capture.first_packet;
  return (
    <div class="stack">
      <Findings report={report} />
      <Figures
        of={[
          { label: "Packets", value: count(capture.packets), note: seconds ? pps(capture.packets / seconds) : undefined },
          { label: "Bytes", value: bytes(capture.bytes), note: seconds ? bits((8 * capture.bytes) / seconds) : undefined },
          { label: "Spans", value: span(seconds), note: `${moment(capture.first_packet).slice(0, 16)} UTC` },
          { label: "Flows", value: count(report.verdicts.flows), note: `${count(report.verdicts.attacks)} named attacks` },
          { label: "Round trip", value: ms(summary?.latency.overall_mean_rtt), note: `max ${ms(summary?.latency.max_rtt)}` },
          {
            label: "Ledger",
            value: report.ledger.is_balanced ? "balanced" : report.ledger.is_complete ? "not balanced" : "still counting",
            note: report.ledger.is_balanced ? "nothing lost" : `difference ${count(report.ledger.difference)}`,
          },
        ]}
      />
      <Timeline report={report} />
      <div class="grid grid-3">
        <Verdicts report={report} />
        <Panel title="Protocols">
          <Bars
            label="Bytes by protocol"
            of={report.protocols.slice(0, 10).map((one) => ({ key: one.name, label: one.name, value: one.bytes, shown: bytes(one.bytes), note: percent(one.byte_share) }))}
          />
        </Panel>
        <Panel title="Top talkers">
          <Bars
            label="Bytes by address"
            of={report.talkers.slice(0, 10).map((one) => ({
              key: one.ip,
              label: <HostLink address={one.ip} />,
              value: one.sent_bytes + one.received_bytes,
              shown: bytes(one.sent_bytes + one.received_bytes),
            }))}
          />
        </Panel>
      </div>
      <LedgerPanel ledger={report.ledger} />
      <Files report={report} />
    </div>
  );
}

type Incident = Report["incidents"][number];

function Findings({ report }: { report: Report }) {
  const { incidents, incidents_total: total, capture } = report;
  const scope = { capture: capture.capture_id, from: null, to: null };
  const columns: Column<Incident>[] = [
    { key: "severity", title: "Severity", sort: (one) => (one.severity === "high" ? 1 : 0), cell: (one) => <SeverityBadge severity={one.severity} /> },
    {
      key: "what",
      title: "What",
      grow: true,
      sort: (one) => one.message,
      cell: (one) => (
        <ViewLink to={`/anomalies/${one.last_anomaly_id}`} more={scope}>
          {one.message}
        </ViewLink>
      ),
    },
    { key: "first", title: "From (UTC)", minor: true, sort: (one) => one.first_seen, cell: (one) => moment(one.first_seen, false) },
    { key: "long", title: "For", minor: true, numeric: true, sort: (one) => one.ended - one.first_seen, cell: (one) => span(one.ended - one.first_seen) },
    { key: "count", title: "Times", minor: true, numeric: true, sort: (one) => one.count, cell: (one) => count(one.count) },
  ];
  const others = report.findings.filter((one) => one.kind !== "incident");
  return (
    <Panel
      title="What is wrong"
      actions={total > 0 && <ViewLink to="/anomalies" more={scope}>{plural(total, "incident")}</ViewLink>}
    >
      {total === 0 && <p>No incident was found.</p>}
      {incidents.length > 0 && (
        <Table
          caption="Incidents, the worst first"
          columns={columns}
          rows={incidents.slice(0, SHOWN_INCIDENTS)}
          rowKey={(one) => one.incident_id}
          href={(one) => `/anomalies/${one.last_anomaly_id}?capture=${capture.capture_id}`}
        />
      )}
      {others.length > 0 && (
        <ul class="feed columns">
          {others.map((one) => (
            <li key={`${one.kind} ${one.name}`}>
              <Badge tone={one.concern === "low" ? "neutral" : one.concern}>{one.concern}</Badge>
              <span>
                {one.kind === "verdict" ? (
                  <ViewLink to="/flows" more={{ ...scope, class: one.name }}>{one.sentence}</ViewLink>
                ) : (
                  one.sentence
                )}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Timeline({ report: { timeline, incidents } }: { report: Report }) {
  const x = useMemo(() => timeline.map((point) => point.start), [timeline]);
  const series = useMemo(
    () => [
      { label: "Bits/s", fill: true, values: timeline.map((point) => point.bits_per_s) },
      { label: "Packets/s", colour: "chart-2", isSecond: true, values: timeline.map((point) => point.packets / (point.end - point.start)) },
    ],
    [timeline],
  );
  const marks = useMemo(
    () => incidents.map((one) => ({ at: one.first_seen, until: one.ended, colour: one.severity })),
    [incidents],
  );
  return (
    <Panel title="Traffic">
      <Chart title="Traffic of the whole capture" x={x} series={series} format={bits} format2={pps} marks={marks} />
      <p class="muted small">Shaded: incidents.</p>
    </Panel>
  );
}

function Verdicts({ report }: { report: Report }) {
  const { verdicts, capture } = report;
  const scope = { capture: capture.capture_id, from: null, to: null };
  return (
    <Panel title="Verdicts on flows">
      <Bars
        label="Flows by class"
        of={verdicts.classes.map((one) => ({
          key: one.class_name,
          label: (
            <>
              <ViewLink to="/flows" more={{ ...scope, class: one.class_name }}>{one.class_name}</ViewLink>{" "}
              {one.is_attack && <span class="text-high small">attack</span>}
            </>
          ),
          value: one.flows,
          shown: count(one.flows),
          note: percent(one.share),
        }))}
      />
      <p class="muted small">
        {count(verdicts.uncertain)} uncertain ({percent(verdicts.uncertain_share)}). Judged by{" "}
        {report.models.map((model) => (
          <ViewLink key={model.fingerprint} to={`/models/${model.fingerprint}`} class="mono">{model.fingerprint}</ViewLink>
        ))}
      </p>
    </Panel>
  );
}

const EXPORTS = ["anomalies", "incidents", "flows", "classifications", "windows", "packets", "ledger"];

function Files({ report: { capture, file } }: { report: Report }) {
  const id = capture.capture_id;
  return (
    <Panel title="To take along">
      <div class="row">
        <Download path={`/api/captures/${id}/report.html`} name={`${captureName(capture)}.html`}>Report as a page</Download>
        <Download path={`/api/captures/${id}/report`} name={`${captureName(capture)}.json`}>Report as JSON</Download>
        {EXPORTS.map((what) => (
          <Download key={what} path={address(`/api/export/${what}`, { capture: id, format: "csv" })} name={`${what}.csv`}>
            {words(what)} (CSV)
          </Download>
        ))}
      </div>
      <KeyValue
        of={[
          ["Capture", <><span class="mono">{id}</span> <Copy text={id} /></>],
          ["File", file.name],
          ["Size", file.size_bytes ? bytes(file.size_bytes) : null],
          ["SHA-256", file.sha256 && <span class="mono break">{file.sha256}</span>],
        ]}
      />
    </Panel>
  );
}
