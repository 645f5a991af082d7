/** What a host's flows are taken for: those it began, and those that others began with it. */
import { useAnswer } from "../ask";
import { count, percent, plural } from "../format";
import type { VerdictsSummary } from "../types";
import { VerdictBadge } from "./badge";
import { Bars, ViewLink } from "./controls";
import { Panel } from "./panel";
import { Async } from "./states";

type Scope = Record<string, string | number | null>;

export function Verdicts({ ip, scope }: { ip: string; scope: Scope }) {
  const begun = useAnswer<VerdictsSummary>("/api/classifications/summary", { ...scope, source_ip: ip });
  const asked = useAnswer<VerdictsSummary>("/api/classifications/summary", { ...scope, destination_ip: ip });
  return (
    <Panel title="What its flows are taken for">
      <Async of={begun}>
        {(summary) => (
          <div class="stack">
            <ClassList title="Flows it began" summary={summary} side={{ source_ip: ip }} />
            {asked.data && <ClassList title="Flows that others began with it" summary={asked.data} side={{ destination_ip: ip }} />}
          </div>
        )}
      </Async>
    </Panel>
  );
}

function ClassList({ title, summary, side }: { title: string; summary: VerdictsSummary; side: Record<string, string> }) {
  if (!summary.flows) return null;
  const bars = summary.classes.map((one) => ({
    key: one.class_name,
    label: (
      <ViewLink to="/flows" more={{ ...side, class: one.class_name, uncertain: "false" }}>
        <VerdictBadge name={one.class_name} isAttack={one.is_attack} />
      </ViewLink>
    ),
    value: one.flows,
    shown: count(one.flows),
    note: percent(one.share),
  }));
  return (
    <div>
      <h3>{title}</h3>
      <Bars label={title} of={bars} />
      {summary.uncertain > 0 && <p class="small muted">and {plural(summary.uncertain, "uncertain verdict")}</p>}
    </div>
  );
}
