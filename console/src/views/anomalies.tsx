import { useSearch } from "wouter-preact";
import { useAnswer } from "../ask";
import { captureName, useCaptures } from "../captures";
import {
  Async, Badge, Empty, HostLink, Pager, Panel, SeverityBadge, Table, ViewLink, ViewTitle, type Column,
} from "../components";
import { Choice, Field, Filters, useFilters, useSetFilters, type Values } from "../components/filters";
import { Lanes, type Happening } from "../components/lanes";
import { TYPES, typeName } from "../anomaly-words";
import { count, plural, words } from "../format";
import { scopeParams, useParam, useScope, useSetParams, viewAddress } from "../scope";
import { moment, span } from "../time";
import type { Anomalies, Anomaly, ByType, Incident, Incidents } from "../types";

const NAMES = ["type", "severity", "source_ip", "destination_ip", "q", "incident"] as const;
const PAGE = 100;

/** What was found: incidents, each told once, or every single anomaly. */
export default function AnomaliesView() {
  const scope = useScope();
  const filters = useFilters(NAMES);
  const [shown] = useParam("show", "incidents");
  const isFolded = shown !== "all" && !filters.incident;
  const asked = { ...scopeParams(scope), ...filters };
  const types = useAnswer<ByType>("/api/anomalies/by-type", asked);
  return (
    <>
      <ViewTitle title="Anomalies">{types.data && <Lead types={types.data} />}</ViewTitle>
      <Asked values={filters} isFolded={isFolded} />
      {isFolded ? <IncidentList asked={asked} /> : <SingleList asked={asked} />}
    </>
  );
}

function Lead({ types }: { types: ByType }) {
  if (!types.total) return <>Nothing that these filters let through.</>;
  const high = Object.values(types.by_type).reduce((sum, type) => sum + (type.by_severity.high ?? 0), 0);
  return (
    <>
      {plural(types.total, "anomaly", "anomalies")}, {count(high)} of them high
    </>
  );
}

function Asked({ values, isFolded }: { values: Values; isFolded: boolean }) {
  const setParams = useSetParams();
  const setFilters = useSetFilters();
  return (
    <Filters label="Filter anomalies" names={NAMES} values={values}>
      <Choice name="type" label="Type" all="All types" options={TYPES} values={values} />
      <Choice name="severity" label="Severity" all="Any" options={["high", "medium"]} values={values} />
      <Field name="source_ip" label="Source" placeholder="address" values={values} />
      <Field name="destination_ip" label="Destination" placeholder="address" values={values} />
      <Field name="q" label="In the message" type="search" placeholder="text" values={values} />
      {values.incident ? (
        <button type="button" class="button" onClick={() => setFilters({ incident: null })}>
          All incidents
        </button>
      ) : (
        <button
          type="button"
          class="button"
          aria-pressed={!isFolded}
          onClick={() => setParams({ show: isFolded ? "all" : null, offset: null })}
        >
          {isFolded ? "Show each anomaly" : "Fold into incidents"}
        </button>
      )}
    </Filters>
  );
}

type Question = Record<string, string | number | null>;

function useOffset(): [number, (offset: number) => void] {
  const [text] = useParam("offset", "0");
  const setParams = useSetParams();
  return [Number(text) || 0, (offset) => setParams({ offset: offset || null })];
}

function IncidentList({ asked }: { asked: Question }) {
  const [offset, setOffset] = useOffset();
  const list = useAnswer<Incidents>("/api/anomalies/incidents", { ...asked, limit: PAGE, offset });
  const search = useSearch();
  const hrefOf = (one: Incident) => viewAddress(`/anomalies/${one.last_anomaly_id}`, search, { capture: one.capture_id });
  return (
    <Async of={list}>
      {({ incidents, total }) =>
        incidents.length === 0 ? (
          <Nothing />
        ) : (
          <div class="stack">
            <Line of={incidents.map((one) => ({
              key: one.incident_id, lane: typeName(one.type), from: one.first_seen, to: one.ended,
              isHigh: one.severity === "high", title: `${moment(one.first_seen, false)} ${one.message}`, href: hrefOf(one),
            }))} />
            <Panel title={plural(total, "incident")}>
              <Table
                caption="Incidents, those seen last first"
                columns={INCIDENT_COLUMNS}
                rows={incidents}
                rowKey={(one) => one.incident_id}
                href={hrefOf}
              />
              <Pager offset={offset} limit={PAGE} total={total} onOffset={setOffset} />
            </Panel>
          </div>
        )
      }
    </Async>
  );
}

const INCIDENT_COLUMNS: Column<Incident>[] = [
  { key: "severity", title: "Severity", cell: (one) => <SeverityBadge severity={one.severity} />, sort: (one) => one.severity },
  {
    key: "message", title: "What", grow: true,
    cell: (one) => <ViewLink to={`/anomalies/${one.last_anomaly_id}`} more={{ capture: one.capture_id }}>{one.message}</ViewLink>,
  },
  { key: "signal", title: "Signal", cell: (one) => words(one.signal), sort: (one) => one.signal, minor: true },
  { key: "source", title: "Source", cell: (one) => <HostLink address={one.source_ip} />, sort: (one) => one.source_ip },
  {
    key: "count", title: "Times", numeric: true, sort: (one) => one.count,
    cell: (one) =>
      one.count === 1 ? "1" : (
        <ViewLink to="/anomalies" more={{ incident: one.incident_id, capture: one.capture_id }}>
          all {count(one.count)}
        </ViewLink>
      ),
  },
  { key: "first", title: "First seen", cell: (one) => moment(one.first_seen), sort: (one) => one.first_seen },
  { key: "for", title: "For", cell: (one) => span(one.ended - one.first_seen), sort: (one) => one.ended - one.first_seen, numeric: true, minor: true },
];

function SingleList({ asked }: { asked: Question }) {
  const [offset, setOffset] = useOffset();
  const list = useAnswer<Anomalies>("/api/anomalies/", { ...asked, limit: PAGE, offset });
  const search = useSearch();
  const hrefOf = (one: Anomaly) => viewAddress(`/anomalies/${one.anomaly_id}`, search, { capture: one.capture_id });
  return (
    <Async of={list}>
      {({ anomalies, total }) =>
        anomalies.length === 0 ? (
          <Nothing />
        ) : (
          <div class="stack">
            <Line of={anomalies.map((one) => ({
              key: one.anomaly_id, lane: typeName(one.type), from: one.window_start, to: one.window_end,
              isHigh: one.severity === "high", title: `${moment(one.window_start, false)} ${one.message}`, href: hrefOf(one),
            }))} />
            <Panel title={plural(total, "anomaly", "anomalies")}>
              <Table
                caption="Anomalies, newest first"
                columns={SINGLE_COLUMNS}
                rows={anomalies}
                rowKey={(one) => one.anomaly_id}
                href={hrefOf}
              />
              <Pager offset={offset} limit={PAGE} total={total} onOffset={setOffset} />
            </Panel>
          </div>
        )
      }
    </Async>
  );
}

const SINGLE_COLUMNS: Column<Anomaly>[] = [
  { key: "severity", title: "Severity", cell: (one) => <SeverityBadge severity={one.severity} />, sort: (one) => one.severity },
  {
    key: "message", title: "What", grow: true,
    cell: (one) => (
      <>
        <ViewLink to={`/anomalies/${one.anomaly_id}`} more={{ capture: one.capture_id }}>{one.message}</ViewLink>
        {one.folded > 0 && <> <Badge>and {count(one.folded)} like it</Badge></>}
      </>
    ),
  },
  { key: "signal", title: "Signal", cell: (one) => words(one.signal), sort: (one) => one.signal, minor: true },
  { key: "source", title: "Source", cell: (one) => <HostLink address={one.source_ip} />, sort: (one) => one.source_ip },
  { key: "window", title: "Window", cell: (one) => count(one.window_id), numeric: true, sort: (one) => one.window_id, minor: true },
  { key: "at", title: "Window begins", cell: (one) => moment(one.window_start), sort: (one) => one.window_start },
];

function Line({ of }: { of: Happening[] }) {
  const scope = useScope();
  const { current } = useCaptures();
  const first = of.reduce((least, { from }) => Math.min(least, from), Infinity);
  const last = of.reduce((most, { to }) => Math.max(most, to), -Infinity);
  const from = scope.from === null ? Math.min(current?.first_packet ?? first, first) : scope.from / 1000;
  const to = scope.to === null ? Math.max(current?.last_packet ?? last, last) : scope.to / 1000;
  return (
    <Panel title="On the time line">
      <Lanes title="Anomalies by type and time" of={of} from={from} to={to} />
    </Panel>
  );
}

function Nothing() {
  const { current, isLoaded } = useCaptures();
  const filters = useFilters(NAMES);
  if (Object.keys(filters).length) return <Empty title="No anomaly passes these filters.">Clear some of them, or take a longer time.</Empty>;
  if (isLoaded && !current) {
    return (
      <Empty title="There is no capture yet.">
        <ViewLink to="/captures">Upload or start one</ViewLink>, and what is odd in it is listed here.
      </Empty>
    );
  }
  return (
    <Empty title="Nothing odd was found.">
      {current && <>In {captureName(current)}, within the time chosen above. </>}Some rules need a baseline first: they are silent while it learns.
    </Empty>
  );
}
