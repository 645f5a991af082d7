import { useSearch } from "wouter-preact";
import { useAnswer } from "../ask";
import { Async, Badge, Empty, HostLink, Pager, Panel, Table, ViewLink, ViewTitle, type Column } from "../components";
import { countryName } from "../countries";
import { bytes, count, plural } from "../format";
import { scopeParams, useParam, useScope, useSetParams, viewAddress } from "../scope";
import { moment } from "../time";
import type { Schemas } from "../types";

type Hosts = Schemas["HostsSeenAnswer"];
type Host = Hosts["hosts"][number];

const PAGE = 50;
const ORDERS: [string, string][] = [
  ["bytes", "most bytes"],
  ["flows", "most flows"],
  ["peers", "most peers"],
  ["attacks", "most attack flows"],
];

/** Who there is in a capture. */
export default function HostsView() {
  const scope = scopeParams(useScope());
  const [order, setOrder] = useParam("order", "bytes");
  const [text] = useParam("offset", "0");
  const setParams = useSetParams();
  const offset = Number(text) || 0;
  const list = useAnswer<Hosts>("/api/hosts/", { ...scope, order, offset, limit: PAGE });
  return (
    <>
      <ViewTitle
        title="Hosts"
        actions={
          <label class="row">
            <span class="muted">First come those with</span>
            <select class="field" value={order} onChange={(event) => setOrder(event.currentTarget.value)}>
              {ORDERS.map(([value, title]) => (
                <option key={value} value={value}>
                  {title}
                </option>
              ))}
            </select>
          </label>
        }
      >
        {list.data && list.data.total > 0 && <>{plural(list.data.total, "address", "addresses")} with flows</>}
      </ViewTitle>
      <Async of={list}>
        {(answer) =>
          answer.hosts.length === 0 ? (
            <Empty title="No host had a flow in this time.">
              Take a longer time, or <ViewLink to="/captures">another capture</ViewLink>.
            </Empty>
          ) : (
            <Panel title={plural(answer.total, "host")}>
              <List hosts={answer.hosts} />
              <Pager offset={offset} limit={PAGE} total={answer.total} onOffset={(next) => setParams({ offset: next || null })} />
            </Panel>
          )
        }
      </Async>
    </>
  );
}

function List({ hosts }: { hosts: Host[] }) {
  const search = useSearch();
  return (
    <Table
      caption="Hosts"
      columns={COLUMNS}
      rows={hosts}
      rowKey={(host) => host.ip}
      href={(host) => viewAddress(`/hosts/${encodeURIComponent(host.ip)}`, search)}
    />
  );
}

const COLUMNS: Column<Host>[] = [
  { key: "ip", title: "Address", cell: (host) => <HostLink address={host.ip} /> },
  { key: "country", title: "Where", cell: (host) => countryName(host.country), sort: (host) => host.country, minor: true },
  { key: "sent", title: "Sent", cell: (host) => bytes(host.bytes_sent), numeric: true, sort: (host) => host.bytes_sent },
  { key: "received", title: "Received", cell: (host) => bytes(host.bytes_received), numeric: true, sort: (host) => host.bytes_received },
  { key: "begun", title: "Flows begun", cell: (host) => count(host.flows_begun), numeric: true, sort: (host) => host.flows_begun },
  { key: "answered", title: "Asked of it", cell: (host) => count(host.flows_answered), numeric: true, sort: (host) => host.flows_answered, minor: true },
  { key: "peers", title: "Peers", cell: (host) => count(host.peers), numeric: true, sort: (host) => host.peers },
  {
    key: "attacks", title: "Attack flows", numeric: true, sort: (host) => host.attack_flows,
    cell: (host) =>
      host.attack_flows ? (
        <ViewLink to="/flows" more={{ source_ip: host.ip, is_attack: "true" }}>
          <Badge tone="high">{count(host.attack_flows)}</Badge>
          <span class="sr-only"> attack flows of {host.ip}</span>
        </ViewLink>
      ) : (
        "0"
      ),
  },
  {
    key: "anomalies", title: "Anomalies", numeric: true, sort: (host) => host.anomalies,
    cell: (host) =>
      host.anomalies ? (
        <ViewLink to="/anomalies" more={{ source_ip: host.ip }}>
          {count(host.anomalies)}
          <span class="sr-only"> anomalies of {host.ip}</span>
        </ViewLink>
      ) : (
        "0"
      ),
  },
  { key: "last", title: "Last seen", cell: (host) => moment(host.last_seen), sort: (host) => host.last_seen, minor: true },
];
