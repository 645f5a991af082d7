/** The loss ledger: what came into and went out of every hop. */
import { Badge, type Column, Panel, Table } from ".";
import { count, plural, words } from "../format";
import type { Hop, Ledger } from "../types";

const WORDS: Record<string, string> = {
  nic: "received by the interface",
  kernel: "behind the filter, in the kernel",
  read: "read from the file or the port",
  record: "kept on disk",
  decode: "decoded",
  sample: "kept by sampling",
  produce: "put on Kafka",
  windows: "counted in partial windows",
  merge: "counted in merged windows",
  store: "stored as packets",
  analysis: "judged by the detectors",
  flows: "counted in flows",
  classifications: "in flows that were classified",
};

export function LedgerPanel({ ledger }: { ledger: Ledger }) {
  const missing = Object.entries(ledger.undecodable);
  const columns: Column<Hop>[] = [
    { key: "hop", title: "Hop", cell: (one) => one.hop },
    { key: "means", title: "Packets", minor: true, grow: true, cell: (one) => <span class="muted">{WORDS[one.hop] ?? ""}</span> },
    { key: "in", title: "In", numeric: true, cell: (one) => count(one.packets_in) },
    { key: "out", title: "Out", numeric: true, cell: (one) => count(one.packets_out) },
    {
      key: "difference",
      title: "Missing",
      numeric: true,
      cell: (one) => (one.difference ? <strong class="text-high">{count(one.difference)}</strong> : "0"),
    },
    {
      key: "lost",
      title: "Said to be lost",
      minor: true,
      cell: (one) => Object.entries(one.lost).map(([reason, n]) => `${words(reason)}: ${count(n)}`).join(", ") || "–",
    },
  ];
  return (
    <Panel
      title="Ledger"
      actions={
        ledger.is_balanced ? (
          <Badge tone="good">balanced: nothing lost, nothing twice</Badge>
        ) : ledger.is_complete ? (
          <Badge tone="high">not balanced</Badge>
        ) : (
          <Badge tone="info" sign="▸">still counting</Badge>
        )
      }
    >
      <Table caption="Packets at every hop" columns={columns} rows={ledger.hops} rowKey={(one) => one.hop} />
      {missing.length > 0 && (
        <p class="muted">
          Not decoded to their end, and stored all the same:{" "}
          {missing.map(([reason, n]) => `${plural(n, "packet")} (${words(reason)})`).join(", ")}.
        </p>
      )}
    </Panel>
  );
}
