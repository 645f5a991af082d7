import { useParams } from "wouter-preact";
import { useAnswer } from "../ask";
import { Async, Download, Figures, Panel, Table, ViewTitle, type Column } from "../components";
import {
  AgreementPart, DriftTable, Facts, HistoryTable, RoleBadge, RoleButtons,
} from "../components/model-parts";
import { count, percent } from "../format";
import { scopeParams, useScope } from "../scope";
import type { Schemas, VerdictsSummary } from "../types";
import "./model.css";

type Detail = Schemas["ModelDetailAnswer"];
type Report = Schemas["ModelReportAnswer"];

/** Everything that is known of one model, class by class. */
export default function ModelView() {
  const { id = "" } = useParams<{ id: string }>();
  const found = useAnswer<Detail>(`/api/models/${encodeURIComponent(id)}`);
  return (
    <>
      {!found.data && <ViewTitle title={`Model ${id}`} />}
      <Async of={found}>{(model) => <Told model={model} onDone={found.reload} />}</Async>
    </>
  );
}

function Told({ model, onDone }: { model: Detail; onDone: () => void }) {
  const read = useAnswer<Report>(`/api/models/${model.fingerprint}/report`);
  const report = read.data?.scores.length ? read.data : null;
  return (
    <>
      <ViewTitle
        title={`Model ${model.version}`}
        actions={
          <>
            <Download path={`/api/models/${model.fingerprint}/bundle`} name={`${model.fingerprint}.pt`}>
              Bundle
            </Download>
            <RoleButtons model={model} onDone={onDone} />
          </>
        }
      >
        <span class="row">
          <RoleBadge role={model.role} /> <span class="mono">{model.fingerprint}</span>
        </span>
      </ViewTitle>
      <div class="stack">
        {report && <Scores report={report} />}
        <ByClass model={model} report={report} />
        {report && <Confusion report={report} />}
        <Async of={read}>{(found) => (found.scores.length ? null : <NoReport />)}</Async>
        <div class="grid">
          <Panel title="What it is">
            <Facts model={model} />
          </Panel>
          <Panel title="Drift">
            <DriftTable of={model.drift} />
          </Panel>
        </div>
        {model.agreement.map((one) => (
          <Panel key={`${one.champion} ${one.challenger}`} title="Agreement">
            <AgreementPart of={one} />
          </Panel>
        ))}
        <Panel title="History">
          <HistoryTable of={model.history} />
        </Panel>
      </div>
    </>
  );
}

function NoReport() {
  return (
    <Panel title="Report">
      <p class="muted">
        No evaluation ships with this model. <code>spanwatch evaluate</code> measures one on labelled flows.
      </p>
    </Panel>
  );
}

function Scores({ report }: { report: Report }) {
  return (
    <Panel title="How well it names flows it was not trained on">
      <div class="stack">
        <Figures
          of={report.scores.map(({ name, macro_f1: f1, accuracy }, place) => ({
            label: place === 0 ? `${name} (this kind of model)` : `${name}, for comparison`,
            value: f1.toFixed(3),
            note: `macro F1; ${(accuracy * 100).toFixed(1)} % of flows named rightly`,
          }))}
        />
        <p class="muted small">
          Measured on labelled flows (the corrected CICIDS2017), each class cut by time: the first {percent(report.trained_share)} taught a model of
          the same recipe, the later rest is what this shows. What it does not show is in docs/model.md.
        </p>
      </div>
    </Panel>
  );
}

interface Line {
  name: string;
  trained: number;
  score: Report["scores"][number]["classes"][number] | undefined;
  said: VerdictsSummary["classes"][number] | undefined;
}

function ByClass({ model, report }: { model: Detail; report: Report | null }) {
  const scope = scopeParams(useScope());
  const role = model.role ?? "champion";
  const said = useAnswer<VerdictsSummary>("/api/classifications/summary", { ...scope, model: model.fingerprint, role });
  const scores = report?.scores[0].classes ?? [];
  const lines: Line[] = model.classes.map((name) => ({
    name,
    trained: model.flows_by_class[name] ?? 0,
    score: scores.find(({ class_name }) => class_name === name),
    said: said.data?.classes.find(({ class_name }) => class_name === name),
  }));
  return (
    <Panel title="Class by class" actions={<span class="muted small">verdicts are those on the capture and time chosen above</span>}>
      <Table caption="Classes: how well they are named, and how often" columns={report ? CLASSES : CLASSES.filter(({ key }) => !MEASURED.has(key))} rows={lines} rowKey={(one) => one.name} />
    </Panel>
  );
}

const MEASURED = new Set(["flows", "precision", "recall", "f1"]);
const three = (value: number | null | undefined) => (value === null || value === undefined ? "–" : value.toFixed(3));

const CLASSES: Column<Line>[] = [
  { key: "name", title: "Class", cell: (one) => one.name },
  { key: "trained", title: "Taught", numeric: true, cell: (one) => count(one.trained), sort: (one) => one.trained },
  { key: "flows", title: "Measured on", numeric: true, cell: (one) => count(one.score?.flows), sort: (one) => one.score?.flows ?? null, minor: true },
  { key: "precision", title: "Precision", numeric: true, cell: (one) => three(one.score?.precision), sort: (one) => one.score?.precision ?? null },
  { key: "recall", title: "Recall", numeric: true, cell: (one) => three(one.score?.recall), sort: (one) => one.score?.recall ?? null },
  { key: "f1", title: "F1", numeric: true, cell: (one) => three(one.score?.f1), sort: (one) => one.score?.f1 ?? null },
  { key: "said", title: "Verdicts", numeric: true, cell: (one) => count(one.said?.flows ?? 0), sort: (one) => one.said?.flows ?? 0 },
  { key: "confidence", title: "Mean confidence", numeric: true, cell: (one) => percent(one.said?.mean_confidence), sort: (one) => one.said?.mean_confidence ?? null, minor: true },
];

/** Rows: what flows are; columns: what they were named. */
function Confusion({ report }: { report: Report }) {
  const { confusion } = report.scores[0];
  const sums = confusion.map((row) => row.reduce((sum, value) => sum + value, 0));
  return (
    <Panel title="What it mistakes for what" actions={<span class="muted small">rows: what flows are; columns, in the same order: what it named them</span>}>
      <div class="table-scroll" role="region" aria-label="Confusion matrix" tabIndex={0}>
        <table class="table confusion">
          <caption class="sr-only">Confusion matrix: rows are what flows are, columns what they were named</caption>
          <thead>
            <tr>
              <th scope="col">is</th>
              {report.classes.map((name, place) => (
                <th key={name} scope="col" class="num" title={name}>
                  <span class="sr-only">{name}</span>
                  <span aria-hidden="true">{place + 1}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {report.classes.map((name, place) => (
              <tr key={name}>
                <th scope="row">
                  <span class="muted" aria-hidden="true">{place + 1} </span>
                  {name}
                </th>
                {confusion[place].map((value, column) => (
                  <td key={report.classes[column]} class={`num ${shade(value, sums[place], place === column)}`}>
                    {value || <span class="muted" aria-label="0">·</span>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function shade(value: number, sum: number, isRight: boolean): string {
  if (!value) return "";
  if (isRight) return "is-right";
  return value / sum > 0.02 ? "is-wrong" : "is-slightly-wrong";
}
