/** Light or dark: as the system says, or as was chosen here. */
import { useEffect, useState } from "preact/hooks";

export type Theme = "light" | "dark";

const KEY = "spanwatch.theme";
const listeners = new Set<() => void>();
const system = window.matchMedia("(prefers-color-scheme: dark)");

export function theme(): Theme {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return system.matches ? "dark" : "light";
}

/** The other theme, from now on and after the next start. */
export function toggleTheme(): void {
  const next = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem(KEY, next);
  listeners.forEach((tell) => tell());
}

/** The theme, as it is now and whenever it changes. */
export function useTheme(): Theme {
  const [now, setNow] = useState(theme);
  useEffect(() => {
    const tell = () => setNow(theme());
    listeners.add(tell);
    system.addEventListener("change", tell);
    return () => {
      listeners.delete(tell);
      system.removeEventListener("change", tell);
    };
  }, []);
  return now;
}
