import { useState } from "preact/hooks";
import { send } from "../api";
import { useAnswer } from "../ask";
import {
  Async, Badge, Empty, Failure, HostLink, KeyValue, Pager, Panel, Table, Tabs, ViewTitle, type Column,
} from "../components";
import { BlockForm } from "../components/block";
import { bytes, count, percent, plural } from "../format";
import { useParam, useScope } from "../scope";
import { moment, secondsOf, span } from "../time";
import type { Schemas } from "../types";

type Blocks = Schemas["BlocksAnswer"];
type Block = Schemas["BlockAnswer"];
type Policy = Schemas["PolicyAnswer"];

const LOOK_MS = 5000;
const PAGE = 50;

/** Who is cut off, who may be, and by whom. */
export default function DefenceView() {
  const now = useAnswer<Blocks>("/active-defense/block", { limit: 1000 }, LOOK_MS);
  const policy = useAnswer<Policy>("/active-defense/policy");
  const [shown, setShown] = useParam("show", "now");
  return (
    <>
      <ViewTitle title="Defence">{now.data && <>{plural(now.data.total, "address", "addresses")} blocked</>}</ViewTitle>
      <div class="stack">
        {now.data && <Mode blocks={now.data} />}
        <BlockPanel onDone={now.reload} />
        <Panel title="Blocks">
          <Tabs
            label="Which blocks"
            chosen={shown}
            onChoose={setShown}
            of={[
              { key: "now", title: "In force", content: () => <InForce of={now} /> },
              { key: "all", title: "All there ever were", content: () => <Everything /> },
            ]}
          />
        </Panel>
        <Async of={policy}>{(rules) => <PolicyPanel rules={rules} />}</Async>
      </div>
    </>
  );
}

function Mode({ blocks }: { blocks: Blocks }) {
  if (blocks.is_dry_run) {
    return (
      <Panel title="Dry run: nothing is cut off">
        <p>
          <Badge tone="info">dry run</Badge> Blocks are listed, counted down and ended exactly as real ones, but <strong>no packet is dropped</strong>. Set{" "}
          <code>SPANWATCH_DEFENCE_FIREWALL=nftables</code> to block in earnest.
        </p>
      </Panel>
    );
  }
  return (
    <Panel title="Blocking in earnest">
      <p>
        <Badge tone="high">{blocks.firewall}</Badge> What is blocked here is dropped by the firewall, where that stands: on a mirror port this
        machine alone is protected.
      </p>
    </Panel>
  );
}

/** An address is looked at first; the block itself is a second press. */
function BlockPanel({ onDone }: { onDone: () => void }) {
  const [ip, setIp] = useParam("ip");
  const { capture } = useScope();
  return (
    <Panel title="Block an address">
      <form
        class="form-row"
        onSubmit={(event) => {
          event.preventDefault();
          setIp(String(new FormData(event.currentTarget).get("ip") ?? "").trim());
        }}
      >
        <label>
          Address
          <input key={ip} name="ip" defaultValue={ip} placeholder="203.0.113.7" size={24} required autoComplete="off" spellcheck={false} />
        </label>
        <button type="submit" class="button">
          Show who would be cut off
        </button>
      </form>
      {ip && (
        <div class="defence-preview">
          <BlockForm key={ip} ip={ip} capture={capture} reason="" onDone={onDone} />
        </div>
      )}
    </Panel>
  );
}

function InForce({ of }: { of: ReturnType<typeof useAnswer<Blocks>> }) {
  const [failed, setFailed] = useState<Error | null>(null);
  const undo = async (ip: string) => {
    try {
      await send("DELETE", `/active-defense/block/${encodeURIComponent(ip)}`);
      setFailed(null);
    } catch (error) {
      setFailed(error as Error);
    }
    of.reload();
  };
  return (
    <>
      {failed && <Failure error={failed} />}
      <Async of={of}>
        {({ blocks }) =>
          blocks.length ? (
            <Table caption="Blocks in force, newest first" columns={[...COLUMNS, ...inForce(undo)]} rows={blocks} rowKey={(one) => one.block_id} />
          ) : (
            <Empty title="Nobody is blocked." />
          )
        }
      </Async>
    </>
  );
}

function Everything() {
  const [text, setText] = useParam("offset", "0");
  const offset = Number(text) || 0;
  const all = useAnswer<Blocks>("/active-defense/block", { state: "all", limit: PAGE, offset }, LOOK_MS);
  return (
    <Async of={all}>
      {({ blocks, total }) =>
        blocks.length ? (
          <>
            <Table caption="All blocks, newest first" columns={[...COLUMNS, ...ENDED]} rows={blocks} rowKey={(one) => one.block_id} />
            <Pager offset={offset} limit={PAGE} total={total} onOffset={(next) => setText(String(next))} />
          </>
        ) : (
          <Empty title="Nobody was ever blocked here." />
        )
      }
    </Async>
  );
}

const COLUMNS: Column<Block>[] = [
  { key: "ip", title: "Address", cell: (one) => <HostLink address={one.ip} />, sort: (one) => one.ip },
  { key: "reason", title: "Why", cell: (one) => one.reason || "–", grow: true },
  {
    key: "by", title: "By",
    cell: (one) => (
      <>
        {one.blocked_by} {one.is_automatic && <Badge tone="info">by itself</Badge>}
        {one.evidence && <a href={one.evidence}>evidence<span class="sr-only"> for {one.ip}</span></a>}
      </>
    ),
  },
  { key: "at", title: "Since", cell: (one) => moment(secondsOf(one.blocked_at)), sort: (one) => one.blocked_at, minor: true },
];

const inForce = (undo: (ip: string) => void): Column<Block>[] => [
  { key: "left", title: "Left", cell: (one) => span(one.remaining_s), numeric: true, sort: (one) => one.remaining_s },
  {
    key: "dropped", title: "Dropped", numeric: true, minor: true,
    cell: (one) => (one.is_dry_run ? "nothing: dry run" : `${count(one.packets_dropped)} packets, ${bytes(one.bytes_dropped)}`),
  },
  {
    key: "undo", title: "End it",
    cell: (one) => (
      <button type="button" class="button button-small" onClick={() => undo(one.ip)}>
        Undo<span class="sr-only"> the block of {one.ip}</span>
      </button>
    ),
  },
];

const STATES: Record<Block["state"], [tone: "good" | "info" | "neutral" | "high", title: string]> = {
  active: ["info", "in force"],
  expired: ["neutral", "over"],
  lifted: ["good", "undone"],
  failed: ["high", "failed"],
};

const ENDED: Column<Block>[] = [
  { key: "state", title: "State", cell: (one) => <Badge tone={STATES[one.state][0]}>{STATES[one.state][1]}</Badge> },
  {
    key: "ended", title: "Ended", minor: true,
    cell: (one) => `${moment(secondsOf(one.ended_at ?? one.expires_at))}${one.ended_by ? ` by ${one.ended_by}` : ""}`,
  },
  { key: "mode", title: "How", cell: (one) => (one.is_dry_run ? "dry run" : one.firewall), minor: true },
];

const POLICY: Record<Policy["state"], string> = {
  off: "The policy is off: nobody is blocked unless a person does it.",
  "dry-run": "The policy only says whom it would block.",
  on: "The policy blocks by itself.",
};

function PolicyPanel({ rules }: { rules: Policy }) {
  const flows = `${plural(rules.flows, "flow")} of ${rules.classes.length ? rules.classes.join(", ") : "one attack class"} from one source, each at least ${percent(rules.confidence)} sure`;
  const anomalies =
    rules.severity === "none" ? "anomalies do not count" : `${plural(rules.anomalies, "anomaly", "anomalies")} of one type, severity ${rules.severity === "medium" ? "medium or high" : "high"}, caused by one source`;
  return (
    <Panel title="Policy" actions={<Badge tone={rules.state === "on" ? "high" : rules.state === "off" ? "neutral" : "info"}>{rules.state}</Badge>}>
      <p>{POLICY[rules.state]} It looks at live captures only.</p>
      <KeyValue
        of={[
          ["Reasons", <>{flows}; or {anomalies}; within {span(rules.within_s)}</>],
          ["How long", `${span(rules.block_s)}; by hand ${span(rules.default_block_s)} unless said otherwise, ${span(rules.longest_block_s)} at most`],
          ["How many", `${count(rules.per_hour)} an hour at most`],
          ["Never blocked", `this machine, its gateways, Kafka and ClickHouse, whoever asks${rules.allowed.length ? `, ${rules.allowed.join(", ")}` : ""}`],
        ]}
      />
    </Panel>
  );
}
