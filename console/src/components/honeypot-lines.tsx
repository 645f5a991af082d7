/** What honeypots say of an address. */
import { useAnswer } from "../ask";
import { plural, words } from "../format";
import { moment, secondsOf } from "../time";
import type { Schemas } from "../types";
import { Badge } from "./badge";
import { Panel } from "./panel";
import { Table, type Column } from "./table";

type Logs = Schemas["HoneypotLogsAnswer"];

/** Only there when a honeypot knows the address. */
export function Honeypots({ ip }: { ip: string }) {
  const logs = useAnswer<Logs>("/api/honeypots/logs", { source_ip: ip, limit: 20 });
  if (!logs.data?.total) return null;
  return (
    <Panel title={`${plural(logs.data.total, "line")} of honeypots`}>
      <Table
        caption="What honeypots logged of this address"
        columns={LINES}
        rows={logs.data.logs}
        rowKey={(line) => line.log_id}
      />
    </Panel>
  );
}

const LINES: Column<Logs["logs"][number]>[] = [
  { key: "at", title: "When", cell: (line) => moment(secondsOf(line.timestamp)) },
  { key: "type", title: "Honeypot", cell: (line) => <Badge>{line.honeypot_type}</Badge> },
  { key: "action", title: "What", cell: (line) => words(line.action) },
  { key: "login", title: "Login", cell: (line) => [line.username, line.password].filter(Boolean).join(" / ") || "–" },
  { key: "data", title: "Data", cell: (line) => <span class="mono break">{line.command || line.message}</span>, grow: true },
];
