/** Light or dark: `public/theme.js` says which before anything is drawn, in the attribute that the colours go by. */
import { useEffect, useState } from "preact/hooks";

export type Theme = "light" | "dark";

const KEY = "spanwatch.theme";
const root = document.documentElement;

export function theme(): Theme {
  return root.dataset.theme === "dark" ? "dark" : "light";
}

/** The other theme, from now on and after the next start. */
export function toggleTheme(): void {
  const next = theme() === "dark" ? "light" : "dark";
  root.dataset.theme = next;
  localStorage.setItem(KEY, next);
}

/** The theme, as it is now and whenever it changes. */
export function useTheme(): Theme {
  const [now, setNow] = useState(theme);
  useEffect(() => {
    const watcher = new MutationObserver(() => setNow(theme()));
    watcher.observe(root, { attributeFilter: ["data-theme"] });
    setNow(theme());
    return () => watcher.disconnect();
  }, []);
  return now;
}
