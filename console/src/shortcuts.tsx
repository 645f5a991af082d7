/** Keys: `g` and a letter goes to a view, `?` lists them. */
import { useEffect, useRef } from "preact/hooks";
import { useLocation, useSearch } from "wouter-preact";
import { Dialog } from "./components/controls";
import { VIEWS } from "./routes";
import { viewAddress } from "./scope";
import { toggleTheme } from "./theme";

const WAIT_MS = 1200;

export function Shortcuts({ isOpen, onOpen }: { isOpen: boolean; onOpen: (isOpen: boolean) => void }) {
  const [, navigate] = useLocation();
  const search = useSearch();
  const begun = useRef(-Infinity);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, select, dialog")) return;
      // When it was pressed, not when a busy page got round to it.
      const isSecond = event.timeStamp - begun.current < WAIT_MS;
      begun.current = -Infinity;
      const view = isSecond ? VIEWS.find(({ shortcut }) => shortcut === event.key) : undefined;
      if (view) navigate(viewAddress(view.path, search));
      else if (event.key === "g") begun.current = event.timeStamp;
      else if (event.key === "?") onOpen(true);
      else if (event.key === "t") toggleTheme();
      else if (event.key === "/") {
        const field = document.querySelector<HTMLElement>("main input[type=search]");
        if (!field) return;
        field.focus();
      } else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [navigate, search, onOpen]);
  return (
    <Dialog title="Keys" isOpen={isOpen} onClose={() => onOpen(false)}>
      <dl class="key-value keys">
        {VIEWS.filter(({ shortcut }) => shortcut).map(({ shortcut, title }) => (
          <div key={title}>
            <dt>
              <kbd>g</kbd> <kbd>{shortcut}</kbd>
            </dt>
            <dd>{title}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>/</kbd>
          </dt>
          <dd>Search in this view</dd>
        </div>
        <div>
          <dt>
            <kbd>t</kbd>
          </dt>
          <dd>Light or dark</dd>
        </div>
        <div>
          <dt>
            <kbd>?</kbd>
          </dt>
          <dd>This list</dd>
        </div>
        <div>
          <dt>
            <kbd>Esc</kbd>
          </dt>
          <dd>Close a dialog</dd>
        </div>
      </dl>
    </Dialog>
  );
}
