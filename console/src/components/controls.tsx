/** Things to press. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { apiKey, download } from "../api";
import { count } from "../format";
import { useViewAddress } from "../scope";

/** A link to a view; the capture and the time range of the current address go along. */
export function ViewLink({ to, more, class: className, children }: {
  to: string;
  more?: Record<string, string | number | null>;
  class?: string;
  children: ComponentChildren;
}) {
  const address = useViewAddress();
  return (
    <Link href={address(to, more)} class={className}>
      {children}
    </Link>
  );
}

/** A link to everything about an address; what is no single address is only shown. */
export function HostLink({ address, class: className }: { address: string | null | undefined; class?: string }) {
  if (!address) return <span>–</span>;
  return (
    <ViewLink to={`/hosts/${encodeURIComponent(address)}`} class={`mono ${className ?? ""}`.trim()}>
      {address}
    </ViewLink>
  );
}

/** Saves a file of the API; a link where no key is needed, so that it can be opened in another tab. */
export function Download({ path, name, children }: { path: string; name: string; children: ComponentChildren }) {
  const [failed, setFailed] = useState("");
  const save = (event: MouseEvent) => {
    if (!apiKey()) return;
    event.preventDefault();
    download(path, name).then(() => setFailed(""), (error: Error) => setFailed(error.message));
  };
  return (
    <>
      <a class="button" href={path} download={name} onClick={save}>
        <span aria-hidden="true">↓</span> {children}
      </a>
      {failed && <span role="alert" class="text-high">{failed}</span>}
    </>
  );
}

export function Copy({ text, what = "Copy" }: { text: string; what?: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    window.setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class="button button-small" onClick={copy} title={text}>
      <span aria-live="polite">{isDone ? "Copied" : what}</span>
    </button>
  );
}

/** Steps through a list by `offset`. */
export function Pager({ offset, limit, total, onOffset }: {
  offset: number;
  limit: number;
  total: number;
  onOffset: (offset: number) => void;
}) {
  if (total <= limit && offset === 0) return null;
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" class="button" disabled={offset === 0} onClick={() => onOffset(Math.max(0, offset - limit))}>
        ‹ Previous
      </button>
      <span class="muted">
        {count(total ? offset + 1 : 0)}–{count(Math.min(offset + limit, total))} of {count(total)}
      </span>
      <button type="button" class="button" disabled={offset + limit >= total} onClick={() => onOffset(offset + limit)}>
        Next ›
      </button>
    </nav>
  );
}

export interface Tab {
  key: string;
  title: string;
  content: () => ComponentChildren;
}

/** Panels of which one is shown; arrow keys move between them. */
export function Tabs({ of, label, chosen, onChoose }: {
  of: Tab[];
  label: string;
  chosen: string;
  onChoose: (key: string) => void;
}) {
  const list = useRef<HTMLDivElement>(null);
  const now = of.find((tab) => tab.key === chosen) ?? of[0];
  const step = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = of[(of.indexOf(now) + by + of.length) % of.length];
    onChoose(next.key);
    list.current?.querySelector<HTMLElement>(`#tab-${next.key}`)?.focus();
    event.preventDefault();
  };
  return (
    <div>
      <div class="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={step}>
        {of.map((tab) => (
          <button
            key={tab.key}
            id={`tab-${tab.key}`}
            type="button"
            role="tab"
            aria-selected={tab === now}
            aria-controls={`tabpanel-${tab.key}`}
            tabIndex={tab === now ? 0 : -1}
            onClick={() => onChoose(tab.key)}
          >
            {tab.title}
          </button>
        ))}
      </div>
      <div id={`tabpanel-${now.key}`} role="tabpanel" aria-labelledby={`tab-${now.key}`} class="tab-panel" tabIndex={0}>
        {now.content()}
      </div>
    </div>
  );
}

/** A dialog above the page: focus stays inside, Escape closes it, focus goes back to where it was. */
export function Dialog({ title, isOpen, onClose, children }: {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isOpen && !element.current?.open) element.current?.showModal();
    if (!isOpen && element.current?.open) element.current.close();
  }, [isOpen]);
  return (
    <dialog ref={element} class="dialog" aria-label={title} onClose={onClose}>
      {isOpen && (
        <>
          <header class="panel-head">
            <h2>{title}</h2>
            <button type="button" class="button button-small" onClick={onClose} aria-label="Close">
              ✕
            </button>
          </header>
          {children}
        </>
      )}
    </dialog>
  );
}

export interface Bar {
  key: string;
  label: ComponentChildren;
  value: number;
  shown: string;
  note?: string;
}

/** Values beside each other as bars: top talkers, protocols. */
export function Bars({ of, label }: { of: Bar[]; label: string }) {
  const largest = of.reduce((most, { value }) => Math.max(most, value), 0) || 1;
  return (
    <ul class="bars" aria-label={label}>
      {of.map(({ key, label: name, value, shown, note }) => (
        <li key={key}>
          <span class="bar-label">{name}</span>
          <span class="bar-value">
            {shown}
            {note && <span class="muted"> {note}</span>}
          </span>
          <span class="bar-track" aria-hidden="true">
            <span class="bar-fill" style={{ width: `${(100 * value) / largest}%` }} />
          </span>
        </li>
      ))}
    </ul>
  );
}
