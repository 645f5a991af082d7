/** The blocks that views are built of. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

/** Heading of a view, and the title of the page. */
export function ViewTitle({ title, children, actions }: {
  title: string;
  children?: ComponentChildren;
  actions?: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${title} · spanwatch`;
  }, [title]);
  return (
    <div class="view-head">
      <div>
        <h1>{title}</h1>
        {children && <div class="view-lead">{children}</div>}
      </div>
      {actions && <div class="view-actions">{actions}</div>}
    </div>
  );
}

export function Panel({ title, children, actions, wide }: {
  title: string;
  children: ComponentChildren;
  actions?: ComponentChildren;
  /** Takes the whole width of its `.grid`. */
  wide?: boolean;
}) {
  return (
    <section class={wide ? "panel panel-wide" : "panel"} aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        {actions && <div class="panel-actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

export interface Figure {
  label: string;
  value: ComponentChildren;
  note?: ComponentChildren;
}

/** A row of single figures. */
export function Figures({ of }: { of: Figure[] }) {
  return (
    <dl class="figures">
      {of.map(({ label, value, note }) => (
        <div key={label} class="figure-card">
          <dt>{label}</dt>
          <dd>
            <span class="figure-value">{value}</span>
            {note && <span class="figure-note">{note}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Names and values, one under the other. Entries whose value is null are left out. */
export function KeyValue({ of }: { of: [string, ComponentChildren][] }) {
  return (
    <dl class="key-value">
      {of
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
