import { useSearch } from "wouter-preact";
import { useAnswer } from "../ask";
import { Async, Empty, Panel, Table, ViewLink, ViewTitle } from "../components";
import { Choice, Field, Filters, useFilters, useSetFilters, type Values } from "../components/filters";
import { FLOW_COLUMNS, flowHref, lineOfFlow, lineOfVerdict, type FlowLine } from "../components/flow-lines";
import { count, percent, plural } from "../format";
import { scopeParams, useParam, useScope, useSetParams } from "../scope";
import type { Schemas, VerdictsSummary } from "../types";
import "./flows.css";

const OF_VERDICTS = ["class", "is_attack", "uncertain", "min_confidence"] as const;
const OF_FLOWS = ["community_id", "end_reason", "min_packets", "min_bytes"] as const;
const OF_BOTH = ["ip", "port", "source_ip", "source_port", "destination_ip", "destination_port", "protocol"] as const;
const NAMES = [...OF_BOTH, ...OF_VERDICTS, ...OF_FLOWS];
const PAGE = 100;

const ORDERS: [string, string][] = [
  ["newest", "begun last"],
  ["oldest", "begun first"],
  ["packets", "most packets"],
];
const FLOW_ORDERS: [string, string][] = [["bytes", "most bytes"], ["duration", "lasted longest"]];
const VERDICT_ORDERS: [string, string][] = [["attack_probability", "likeliest attacks"], ["confidence", "surest verdicts"]];

/** Flows of a capture, with what they are taken for. */
export default function FlowsView() {
  const values = useFilters(NAMES);
  const scope = scopeParams(useScope());
  const isOfVerdicts = OF_VERDICTS.some((name) => values[name]);
  const common = Object.fromEntries(OF_BOTH.map((name) => [name, values[name]]));
  const summary = useAnswer<VerdictsSummary>("/api/classifications/summary", { ...scope, ...common });
  return (
    <>
      <ViewTitle title="Flows">{summary.data && <Lead summary={summary.data} />}</ViewTitle>
      {summary.data && <Classes summary={summary.data} values={values} />}
      <Asked values={values} isOfVerdicts={isOfVerdicts} />
      {isOfVerdicts ? <OfVerdicts asked={{ ...scope, ...values }} /> : <OfFlows asked={{ ...scope, ...values }} />}
    </>
  );
}

function Lead({ summary }: { summary: VerdictsSummary }) {
  if (!summary.flows) return <>No flow was judged yet.</>;
  return (
    <>
      {plural(summary.flows, "judged flow")}: {count(summary.attacks)} named attacks, {count(summary.benign)} benign,{" "}
      {count(summary.uncertain)} uncertain
    </>
  );
}

/** One press shows the flows of a class. */
function Classes({ summary, values }: { summary: VerdictsSummary; values: Values }) {
  const set = useSetFilters();
  const chosen = values.uncertain === "true" ? "?" : (values.class ?? "");
  const choose = (key: string) =>
    set({ class: key && key !== "?" && key !== chosen ? key : null, uncertain: key === "?" && chosen !== "?" ? "true" : key === "?" || key === chosen ? null : "false", is_attack: null });
  if (!summary.classes.length) return null;
  return (
    <ul class="classes" aria-label="Classes">
      {summary.classes.map((one) => (
        <li key={one.class_name}>
          <button type="button" class="class-choice" aria-pressed={chosen === one.class_name} onClick={() => choose(one.class_name)}>
            <span class={one.is_attack ? "text-high" : "text-good"} aria-hidden="true">{one.is_attack ? "◆" : "✓"}</span>
            {one.class_name} <strong>{count(one.flows)}</strong>
            <span class="muted"> {percent(one.share)}</span>
          </button>
        </li>
      ))}
      {summary.uncertain > 0 && (
        <li>
          <button type="button" class="class-choice" aria-pressed={chosen === "?"} onClick={() => choose("?")}>
            <span aria-hidden="true">?</span> uncertain <strong>{count(summary.uncertain)}</strong>
            <span class="muted"> {percent(summary.uncertain_share)}</span>
          </button>
        </li>
      )}
    </ul>
  );
}

function Asked({ values, isOfVerdicts }: { values: Values; isOfVerdicts: boolean }) {
  const [order] = useParam("order", "newest");
  const setFilters = useSetFilters();
  const orders = [...ORDERS, ...(isOfVerdicts ? VERDICT_ORDERS : FLOW_ORDERS)];
  return (
    <Filters label="Filter flows" names={NAMES} values={values}>
      <Field name="ip" label="Either end" placeholder="address" values={values} />
      <Field name="source_ip" label="From" placeholder="address" values={values} />
      <Field name="destination_ip" label="To" placeholder="address" values={values} />
      <Field name="port" label="Port" placeholder="443" size={6} values={values} />
      <Choice name="protocol" label="Protocol" all="All" options={["tcp", "udp", "icmp", "ipv6-icmp"]} values={values} />
      <Choice name="is_attack" label="Taken for" all="Anything" options={[["true", "attacks"], ["false", "no attack"]]} values={values} />
      <label>
        First come those
        <select class="field" value={order} onChange={(event) => setFilters({ order: event.currentTarget.value === "newest" ? null : event.currentTarget.value })}>
          {orders.map(([value, title]) => (
            <option key={value} value={value}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <More values={values} />
    </Filters>
  );
}

/** Filters that came with a link and have no field of their own here. */
function More({ values }: { values: Values }) {
  const set = useSetFilters();
  const others = ["source_port", "destination_port", "community_id", "end_reason", "min_packets", "min_bytes", "min_confidence"].filter((name) => values[name]);
  return (
    <>
      {others.map((name) => (
        <button key={name} type="button" class="button" onClick={() => set({ [name]: null })}>
          {name.replaceAll("_", " ")} {values[name]} <span aria-label="remove">✕</span>
        </button>
      ))}
    </>
  );
}

type Question = Record<string, string | number | null>;

function usePlace(isKnown: (order: string) => boolean): { order: string; cursor: string } {
  const [order] = useParam("order", "newest");
  const [cursor] = useParam("cursor");
  return { order: isKnown(order) ? order : "newest", cursor };
}

const known = (orders: [string, string][]) => (order: string) => [...ORDERS, ...orders].some(([value]) => value === order);

function OfFlows({ asked }: { asked: Question }) {
  const place = usePlace(known(FLOW_ORDERS));
  const list = useAnswer<Schemas["FlowsAnswer"]>("/api/flows/", { ...asked, ...place, limit: PAGE });
  return (
    <Async of={list}>
      {({ flows, total, next_cursor }) => <Lines lines={flows.map(lineOfFlow)} total={total} next={next_cursor} isFirst={!place.cursor} />}
    </Async>
  );
}

function OfVerdicts({ asked }: { asked: Question }) {
  const place = usePlace(known(VERDICT_ORDERS));
  const list = useAnswer<Schemas["ClassificationsAnswer"]>("/api/classifications/", { ...asked, ...place, limit: PAGE });
  return (
    <Async of={list}>
      {({ classifications, total, next_cursor }) => (
        <Lines lines={classifications.map(lineOfVerdict)} total={total} next={next_cursor} isFirst={!place.cursor} />
      )}
    </Async>
  );
}

const WITHOUT_BYTES = FLOW_COLUMNS.filter(({ key }) => key !== "bytes");

function Lines({ lines, total, next, isFirst }: { lines: FlowLine[]; total: number; next: string | null; isFirst: boolean }) {
  const search = useSearch();
  const setParams = useSetParams();
  if (!lines.length) {
    return (
      <Empty title="There is no such flow.">
        Clear some filters, take a longer time, or <ViewLink to="/captures">another capture</ViewLink>.
      </Empty>
    );
  }
  return (
    <Panel title={plural(total, "flow")}>
      <Table
        caption="Flows"
        columns={lines.some((line) => line.bytes !== null) ? FLOW_COLUMNS : WITHOUT_BYTES}
        rows={lines}
        rowKey={(line) => line.flow_id}
        href={(line) => flowHref(line, search)}
      />
      {(next || !isFirst) && (
        <nav class="pager" aria-label="Pages">
          <button type="button" class="button" disabled={isFirst} onClick={() => setParams({ cursor: null })}>
            « First page
          </button>
          <button type="button" class="button" disabled={isFirst} onClick={() => window.history.back()}>
            ‹ Back
          </button>
          <button type="button" class="button" disabled={!next} onClick={() => setParams({ cursor: next })}>
            Next {PAGE} ›
          </button>
        </nav>
      )}
    </Panel>
  );
}
