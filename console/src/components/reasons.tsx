/** What spoke for a class: bars to the right speak for it, to the left against it. */
import { featureValue } from "../flow-features";
import { figure } from "../format";
import type { Schemas } from "../types";
import "./reasons.css";

type Reason = Schemas["ReasonAnswer"];

export function Reasons({ of, name }: { of: Reason[]; name: string }) {
  const largest = of.reduce((most, { contribution }) => Math.max(most, Math.abs(contribution)), 0) || 1;
  const strongest = of[0];
  return (
    <div>
      <h3>What decided</h3>
      {strongest && (
        <p class="small muted">
          {strongest.feature} of {featureValue(strongest.feature, strongest.value)} speaks most for {name}, over the next likeliest class.
        </p>
      )}
      <ul class="reasons" aria-label={`Features that decided for ${name}`}>
        {of.map(({ feature, value, contribution }) => (
          <li key={feature}>
            <span class="reason-name">{feature}</span>
            <span class="reason-value mono">{featureValue(feature, value)}</span>
            <span class="reason-track" aria-hidden="true">
              <span
                class={contribution < 0 ? "reason-fill reason-against" : "reason-fill"}
                style={{ width: `${(100 * Math.abs(contribution)) / largest}%` }}
              />
            </span>
            <span class="reason-share mono">
              {contribution > 0 ? "+" : "−"}
              {figure(Math.abs(Number(contribution.toPrecision(3))))}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
