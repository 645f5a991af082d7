/** What is said of models in more than one view. */
import { address, send } from "../api";
import { count, percent, plural, words } from "../format";
import { moment } from "../time";
import type { Schemas } from "../types";
import { Badge } from "./badge";
import { Confirmed } from "./confirm";
import { ViewLink } from "./controls";
import { KeyValue } from "./panel";
import { Table, type Column } from "./table";

export type Model = Schemas["ModelAnswer"];
type Drift = Model["drift"][number];
type Change = Schemas["ChangeAnswer"];
export type Agreement = Schemas["AgreementAnswer"];

const PATH = "/api/models";

export function RoleBadge({ role }: { role: Model["role"] }) {
  if (role === "champion") return <Badge tone="good">champion</Badge>;
  if (role === "challenger") return <Badge tone="info">challenger</Badge>;
  return <span class="muted">waits</span>;
}

export const ModelLink = ({ fingerprint }: { fingerprint: string }) => (
  <ViewLink to={`/models/${fingerprint}`} class="mono">
    {fingerprint}
  </ViewLink>
);

/** What a model may be made, asking first. */
export function RoleButtons({ model, onDone }: { model: Model; onDone: () => void }) {
  const post = (role: string) => async (reason: string) => {
    await send("POST", address(`${PATH}/${model.fingerprint}/${role}`, { reason }));
    onDone();
  };
  const endShadow = async (reason: string) => {
    await send("DELETE", address(`${PATH}/challenger`, { reason }));
    onDone();
  };
  const name = `${model.version} (${model.fingerprint})`;
  return (
    <>
      {model.role !== "champion" && (
        <Confirmed label="Make champion" title={`Make ${name} the champion?`} act={post("champion")} isDanger>
          From the next flows on its verdicts count, and predictions are its. Verdicts that were made stay as they are. A rollback takes it back.
        </Confirmed>
      )}
      {model.role === null && (
        <Confirmed label="Make challenger" title={`Let ${name} judge in the shadow?`} act={post("challenger")}>
          It judges the same flows as the champion. What it says is stored and compared, and counts nowhere.
        </Confirmed>
      )}
      {model.role === "challenger" && (
        <Confirmed label="End the shadow" title={`End the shadow of ${name}?`} act={endShadow}>
          It judges no more flows; what it said stays.
        </Confirmed>
      )}
    </>
  );
}

export function RollbackButton({ previous, onDone }: { previous: string | null; onDone: () => void }) {
  const act = async (reason: string) => {
    await send("POST", address(`${PATH}/rollback`, { reason }));
    onDone();
  };
  return (
    <Confirmed label="Roll back" title={`Roll back to ${previous ?? "the champion before"}?`} act={act} isDanger isDisabled={!previous}>
      {previous} becomes the champion again, from the next flows on. Verdicts that were made stay as they are.
    </Confirmed>
  );
}

export function Facts({ model }: { model: Model }) {
  const said = model.role ? model.verdicts[model.role] : undefined;
  return (
    <KeyValue
      of={[
        ["Fingerprint", <ModelLink fingerprint={model.fingerprint} />],
        ["Trained", model.trained_at ? `${model.trained_at.slice(0, 19).replace("T", " ")} UTC, ${plural(model.epochs, "epoch")}` : "–"],
        ["In this role since", moment(model.role_since)],
        ["Registered", `${moment(model.registered_at)} by ${model.registered_by}`],
        ...Object.entries(model.metrics).map(([name, value]): [string, string] => [
          words(name).replace(/^./, (letter) => letter.toUpperCase()).replace(" f1", " F1"), value.toFixed(3),
        ]),
        ["Verdicts", said ? `${count(said.verdicts)}, ${count(said.attacks)} attacks, ${percent(said.uncertain / Math.max(said.verdicts, 1))} uncertain` : "none yet"],
        ["Mean confidence", said ? percent(said.mean_confidence) : null],
        ["Note", model.note || null],
      ]}
    />
  );
}

const SIGNALS: Record<string, [title: string, means: string]> = {
  confidence: ["Confidence", "how sure it is of what it says"],
  outside: ["Outside", "how much of a flow is unlike its training data; below 6 % is ordinary"],
};

export function DriftTable({ of }: { of: Drift[] }) {
  if (!of.length) return <p class="muted">No window was judged within the last day.</p>;
  return <Table caption="Drift of the last day" columns={DRIFT} rows={of} rowKey={(one) => one.signal} />;
}

const DRIFT: Column<Drift>[] = [
  {
    key: "signal", title: "Signal", grow: true,
    cell: (one) => (
      <>
        {SIGNALS[one.signal]?.[0] ?? one.signal}
        <span class="muted small"> {SIGNALS[one.signal]?.[1]}</span>
      </>
    ),
  },
  { key: "mean", title: "Level", numeric: true, cell: (one) => percent(one.mean) },
  {
    key: "changes", title: "Change",
    cell: (one) =>
      one.changes ? (
        <Badge tone="medium">
          from {percent(one.before)} at {moment(one.changed_at)}
        </Badge>
      ) : (
        <Badge tone="good">none</Badge>
      ),
  },
  { key: "windows", title: "Windows", numeric: true, cell: (one) => count(one.windows), minor: true },
];

const ACTIONS: Record<string, string> = {
  configured: "by the settings", promote: "made champion", rollback: "rolled back", shadow: "made challenger", end: "shadow ended",
};

export function HistoryTable({ of }: { of: Change[] }) {
  if (!of.length) return <p class="muted">No role was ever given.</p>;
  return <Table caption="Changes of roles, newest first" columns={HISTORY} rows={of} rowKey={(one) => `${one.at} ${one.role}`} />;
}

const HISTORY: Column<Change>[] = [
  { key: "at", title: "When", cell: (one) => moment(one.at) },
  { key: "role", title: "Role", cell: (one) => one.role },
  { key: "action", title: "How", cell: (one) => ACTIONS[one.action] ?? one.action },
  { key: "fingerprint", title: "Model", cell: (one) => (one.fingerprint ? <ModelLink fingerprint={one.fingerprint} /> : "none") },
  { key: "by", title: "By", cell: (one) => one.by },
  { key: "reason", title: "Why", cell: (one) => one.reason || "–", grow: true },
];

export function AgreementPart({ of }: { of: Agreement }) {
  return (
    <div class="stack">
      <p>
        Of {plural(of.flows, "flow")} that both judged, champion <ModelLink fingerprint={of.champion} /> and challenger{" "}
        <ModelLink fingerprint={of.challenger} /> say the same class of <strong>{percent(of.same_class)}</strong> and agree for{" "}
        <strong>{percent(of.same_verdict)}</strong> on whether it is an attack. That tells how much would change, not who is right.
      </p>
      {of.confusion.length > 0 && (
        <Table
          caption="What the champion says, and what the challenger says of the same flows"
          columns={PAIRS}
          rows={of.confusion}
          rowKey={(pair) => `${pair.champion_class} ${pair.challenger_class}`}
          isMarked={(pair) => pair.champion_class !== pair.challenger_class}
          order={{ key: "flows", isDown: true }}
        />
      )}
    </div>
  );
}

const PAIRS: Column<Agreement["confusion"][number]>[] = [
  { key: "champion", title: "Champion says", cell: (pair) => pair.champion_class, sort: (pair) => pair.champion_class },
  { key: "challenger", title: "Challenger says", cell: (pair) => pair.challenger_class, sort: (pair) => pair.challenger_class },
  { key: "flows", title: "Flows", cell: (pair) => count(pair.flows), numeric: true, sort: (pair) => pair.flows },
];
