import { useAnswer } from "../ask";
import { Async, Empty, Panel, Table, ViewLink, ViewTitle, type Column } from "../components";
import {
  AgreementPart, DriftTable, Facts, HistoryTable, ModelLink, RoleBadge, RoleButtons, RollbackButton, type Model,
} from "../components/model-parts";
import { bytes, count, percent, plural } from "../format";
import type { Models } from "../types";

const LOOK_MS = 15_000;

/** Who judges flows, who does so in the shadow, and how to notice that it should change. */
export default function ModelsView() {
  const known = useAnswer<Models>("/api/models", {}, LOOK_MS);
  return (
    <>
      <ViewTitle title="Models" actions={known.data && <RollbackButton previous={known.data.previous} onDone={known.reload} />}>
        {known.data && <>{plural(known.data.total, "registered model")}</>}
      </ViewTitle>
      <Async of={known}>{(models) => <Told models={models} onDone={known.reload} />}</Async>
    </>
  );
}

function Told({ models, onDone }: { models: Models; onDone: () => void }) {
  const champion = models.models.find(({ fingerprint }) => fingerprint === models.champion);
  const challenger = models.models.find(({ fingerprint }) => fingerprint === models.challenger);
  return (
    <div class="stack">
      <div class="grid">
        <Role title="Champion" model={champion} onDone={onDone}>
          Without one, flows are stored and not judged.
        </Role>
        <Role title="Challenger" model={challenger} onDone={onDone}>
          Another model can judge the same flows in the champion's shadow: what it says counts nowhere and is compared. Register one with{" "}
          <code>spanwatch model add FILE</code>, then make it the challenger below.
        </Role>
      </div>
      {models.agreement && (
        <Panel title="Agreement within the last day">
          <AgreementPart of={models.agreement} />
        </Panel>
      )}
      {champion && (
        <Panel title="Drift of the champion" actions={<span class="muted small">of verdicts stored within the last day</span>}>
          <DriftTable of={champion.drift} />
        </Panel>
      )}
      <Panel title="All models">
        <Table caption="Registered models, newest first" columns={columns(onDone)} rows={models.models} rowKey={(one) => one.fingerprint} />
      </Panel>
      <Panel title="History">
        <HistoryTable of={models.history} />
      </Panel>
    </div>
  );
}

function Role({ title, model, onDone, children }: {
  title: string;
  model: Model | undefined;
  onDone: () => void;
  children: preact.ComponentChildren;
}) {
  return (
    <Panel title={model ? `${title}: version ${model.version}` : title}>
      {model ? (
        <div class="stack">
          <Facts model={model} />
          <div class="row">
            <ViewLink to={`/models/${model.fingerprint}`} class="button">
              Report, class by class
            </ViewLink>
            <RoleButtons model={model} onDone={onDone} />
          </div>
        </div>
      ) : (
        <Empty title={`There is no ${title.toLowerCase()}.`}>{children}</Empty>
      )}
    </Panel>
  );
}

const columns = (onDone: () => void): Column<Model>[] => [
  { key: "fingerprint", title: "Fingerprint", cell: (one) => <ModelLink fingerprint={one.fingerprint} /> },
  { key: "version", title: "Version", cell: (one) => one.version },
  { key: "role", title: "Role", cell: (one) => <RoleBadge role={one.role} /> },
  { key: "trained", title: "Trained", cell: (one) => one.trained_at.slice(0, 10) || "–", sort: (one) => one.trained_at },
  {
    key: "f1", title: "Validation F1", numeric: true, sort: (one) => one.metrics.validation_macro_f1 ?? null,
    cell: (one) => one.metrics.validation_macro_f1?.toFixed(3) ?? "–",
  },
  { key: "verdicts", title: "Verdicts", numeric: true, cell: (one) => count(Object.values(one.verdicts).reduce((sum, { verdicts }) => sum + verdicts, 0)) },
  {
    key: "confidence", title: "Mean confidence", numeric: true, minor: true,
    cell: (one) => percent((one.verdicts.champion ?? one.verdicts.challenger)?.mean_confidence),
  },
  { key: "size", title: "Size", numeric: true, cell: (one) => bytes(one.size_bytes), minor: true },
  {
    key: "change", title: "Change",
    cell: (one) => (one.role ? <span class="muted">above</span> : <span class="row"><RoleButtons model={one} onDone={onDone} /></span>),
  },
];
