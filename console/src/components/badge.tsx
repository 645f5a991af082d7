/** Small marks. Each has a sign and a word: colour is never the only difference. */
import type { ComponentChildren } from "preact";
import type { Severity } from "../types";

export type Tone = "neutral" | "good" | "info" | "medium" | "high";

const SIGNS: Record<Tone, string> = { neutral: "", good: "✓", info: "i", medium: "▲", high: "◆" };

export function Badge({ tone = "neutral", sign, children }: { tone?: Tone; sign?: string; children: ComponentChildren }) {
  const shown = sign ?? SIGNS[tone];
  return (
    <span class={`badge badge-${tone}`}>
      {shown && (
        <span class="badge-sign" aria-hidden="true">
          {shown}
        </span>
      )}
      {children}
    </span>
  );
}

export function SeverityBadge({ severity }: { severity: Severity | string }) {
  return <Badge tone={severity === "high" ? "high" : "medium"}>{severity}</Badge>;
}

/** What the classifier says of a flow. */
export function VerdictBadge({ name, isAttack, isUncertain }: { name: string; isAttack: boolean; isUncertain?: boolean }) {
  if (isUncertain) return <Badge tone="info" sign="?">{name} (uncertain)</Badge>;
  return <Badge tone={isAttack ? "high" : "good"}>{name}</Badge>;
}
