/** Filters that live in the address: whoever gets the link sees the same list. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { useSearch } from "wouter-preact";
import { useSetParams } from "../scope";
import "./filters.css";

/** Parameters that say where in a list one is: another filter begins at the beginning. */
const PLACES = { cursor: null, offset: null };

export type Values = Record<string, string>;

/** The filters of these names as the address has them; those that are not there are left out. */
export function useFilters(names: readonly string[]): Values {
  const search = useSearch();
  return useMemo(() => {
    const given = new URLSearchParams(search);
    const known = names.map((name) => [name, given.get(name) ?? ""]).filter(([, value]) => value);
    return Object.fromEntries(known) as Values;
  }, [search, names.join(" ")]);
}

/** Sets filters and goes back to the first page. */
export function useSetFilters(): (more: Record<string, string | null>) => void {
  const setParams = useSetParams();
  return (more) => setParams({ ...PLACES, ...more });
}

export function Filters({ label, names, values, children }: {
  label: string;
  names: readonly string[];
  values: Values;
  children: ComponentChildren;
}) {
  const set = useSetFilters();
  const isAny = names.some((name) => values[name]);
  return (
    <form class="form-row filters" role="search" aria-label={label} onSubmit={(event) => event.preventDefault()}>
      {children}
      {isAny && (
        <button type="button" class="button" onClick={() => set(Object.fromEntries(names.map((name) => [name, null])))}>
          Clear filters
        </button>
      )}
    </form>
  );
}

export type Option = string | [value: string, title: string];

/** One of several; the first entry stands for no filter. */
export function Choice({ name, label, all, options, values }: {
  name: string;
  label: string;
  all: string;
  options: readonly Option[];
  values: Values;
}) {
  const set = useSetFilters();
  return (
    <label>
      {label}
      <select class="field" value={values[name] ?? ""} onChange={(event) => set({ [name]: event.currentTarget.value || null })}>
        <option value="">{all}</option>
        {options.map((option) => {
          const [value, title] = typeof option === "string" ? [option, option] : option;
          return (
            <option key={value} value={value}>
              {title}
            </option>
          );
        })}
      </select>
    </label>
  );
}

/** Text that counts once it is left or Enter is pressed. */
export function Field({ name, label, values, placeholder, type = "text", size = 16 }: {
  name: string;
  label: string;
  values: Values;
  placeholder?: string;
  type?: "text" | "search" | "number";
  size?: number;
}) {
  const set = useSetFilters();
  const now = values[name] ?? "";
  const field = useRef<HTMLInputElement>(null);
  // The address may change without this field: a link, Back, or all filters cleared.
  useEffect(() => {
    if (field.current) field.current.value = now;
  }, [now]);
  const take = (text: string) => text.trim() !== now && set({ [name]: text.trim() || null });
  return (
    <label>
      {label}
      <input
        ref={field}
        type={type}
        size={size}
        defaultValue={now}
        placeholder={placeholder}
        autoComplete="off"
        spellcheck={false}
        onBlur={(event) => take(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && take(event.currentTarget.value)}
      />
    </label>
  );
}
