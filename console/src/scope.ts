/** What every view speaks of, kept in its address: `?capture=ID&from=MS&to=MS`. */
import { useCallback, useMemo } from "preact/hooks";
import { useLocation, useSearch } from "wouter-preact";

export interface Scope {
  /** Capture id; empty for the newest one. */
  capture: string;
  /** Limits of the time range, ms since the epoch; null for none. */
  from: number | null;
  to: number | null;
}

const KEPT = ["capture", "from", "to"];

function numberOf(text: string | null): number | null {
  const value = text === null || text === "" ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

export function scopeOf(search: string): Scope {
  const given = new URLSearchParams(search);
  return { capture: given.get("capture") ?? "", from: numberOf(given.get("from")), to: numberOf(given.get("to")) };
}

/** Parameters of the API for a scope: it takes seconds. */
export function scopeParams(scope: Scope): { capture: string; from: number | null; to: number | null } {
  return {
    capture: scope.capture,
    from: scope.from === null ? null : scope.from / 1000,
    to: scope.to === null ? null : scope.to / 1000,
  };
}

/** The address of a view, with the scope of `search` and what `more` says; null in `more` takes a parameter away. */
export function viewAddress(path: string, search: string, more: Record<string, string | number | null> = {}): string {
  const now = new URLSearchParams(search);
  const next = new URLSearchParams();
  for (const name of KEPT) {
    const value = now.get(name);
    if (value) next.set(name, value);
  }
  for (const [name, value] of Object.entries(more)) {
    if (value === null || value === "") next.delete(name);
    else next.set(name, String(value));
  }
  const text = next.toString();
  return text ? `${path}?${text}` : path;
}

/** The scope of the current address. */
export function useScope(): Scope {
  const search = useSearch();
  return useMemo(() => scopeOf(search), [search]);
}

/** Makes addresses of views that keep the scope. */
export function useViewAddress(): (path: string, more?: Record<string, string | number | null>) => string {
  const search = useSearch();
  return useCallback((path, more) => viewAddress(path, search, more), [search]);
}

/** Reads and sets one parameter of the address: a filter, an order, a page. */
export function useParam(name: string, absent = ""): [string, (value: string) => void] {
  const search = useSearch();
  const [location, navigate] = useLocation();
  const value = new URLSearchParams(search).get(name) ?? absent;
  const set = useCallback(
    (next: string) => navigate(withParams(location, search, { [name]: next === absent ? null : next }), { replace: true }),
    [location, search, name, absent, navigate],
  );
  return [value, set];
}

/** Sets several parameters of the address at once; null takes one away, all others stay. */
export function useSetParams(): (more: Record<string, string | number | null>, options?: { replace?: boolean }) => void {
  const search = useSearch();
  const [location, navigate] = useLocation();
  return useCallback(
    (more, options) => navigate(withParams(location, search, more), { replace: options?.replace ?? false }),
    [location, search, navigate],
  );
}

function withParams(path: string, search: string, more: Record<string, string | number | null>): string {
  const next = new URLSearchParams(search);
  for (const [name, value] of Object.entries(more)) {
    if (value === null || value === "") next.delete(name);
    else next.set(name, String(value));
  }
  const text = next.toString();
  return text ? `${path}?${text}` : path;
}
