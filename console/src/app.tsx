/** The shell: header, navigation and the view that the address names. */
import { Suspense } from "preact/compat";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Link, Route, Router, Switch, useLocation, useSearch } from "wouter-preact";
import { get } from "./api";
import { CapturesContext } from "./captures";
import { Empty, Loading } from "./components/states";
import { useData } from "./data";
import { Header } from "./header";
import { KeyDialog } from "./key-dialog";
import { VIEWS } from "./routes";
import { useScope, viewAddress } from "./scope";
import { Shortcuts } from "./shortcuts";
import type { Captures } from "./types";

const GROUPS = ["Watch", "Records", "Operate"] as const;
const LOOK_MS = 5000;

export function App() {
  return (
    <Router base="/console">
      <Shell />
    </Router>
  );
}

function Shell() {
  const main = useRef<HTMLElement>(null);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const scope = useScope();
  const listed = useData("captures", (signal) => get<Captures>("/api/captures", { limit: 100 }, signal), LOOK_MS);
  const known = useMemo(() => {
    const captures = listed.data?.captures ?? [];
    const current = scope.capture
      ? captures.find((capture) => capture.capture_id === scope.capture)
      : captures.find((capture) => capture.state !== "failed");
    return { captures, current: current ?? null, isLoaded: listed.data !== null, reload: listed.reload };
  }, [listed.data, listed.reload, scope.capture]);
  useFocusOnMove(main);
  return (
    <CapturesContext.Provider value={known}>
      <a class="skip" href="#main" onClick={(event) => focusMain(event, main.current)}>
        Skip to content
      </a>
      <Header onHelp={() => setHelpOpen(true)} failure={listed.error} />
      <div class="frame">
        <Navigation />
        <main id="main" ref={main} tabIndex={-1}>
          <Suspense fallback={<Loading />}>
            <Switch>
              {VIEWS.map(({ path, component: View }) => (
                <Route key={path} path={path}>
                  <View />
                </Route>
              ))}
              <Route>
                <Empty title="There is no such view.">
                  <Link href="/">Go to what happens now</Link>
                </Empty>
              </Route>
            </Switch>
          </Suspense>
        </main>
      </div>
      <Shortcuts isOpen={isHelpOpen} onOpen={setHelpOpen} />
      <KeyDialog />
    </CapturesContext.Provider>
  );
}

function focusMain(event: MouseEvent, main: HTMLElement | null): void {
  // The address stays as it is: it is what people copy.
  event.preventDefault();
  main?.focus();
}

/** Another view begins at its top, and keyboards and screen readers begin there. */
function useFocusOnMove(main: { current: HTMLElement | null }): void {
  const [location] = useLocation();
  const before = useRef(location);
  useEffect(() => {
    if (before.current === location) return;
    before.current = location;
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [location, main]);
}

function Navigation() {
  const [location] = useLocation();
  const search = useSearch();
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setOpen(false), [location]);
  const isHere = (path: string) => (path === "/" ? location === "/" : location === path || location.startsWith(`${path}/`));
  const here = VIEWS.find(({ path, title }) => title && isHere(path))?.title ?? "Views";
  return (
    <nav class={isOpen ? "nav is-open" : "nav"} aria-label="Views">
      <button type="button" class="nav-toggle" aria-expanded={isOpen} aria-controls="nav-list" onClick={() => setOpen(!isOpen)}>
        <span aria-hidden="true">☰</span> {here}
      </button>
      <div id="nav-list" class="nav-list">
        {GROUPS.map((group) => (
          <div key={group} class="nav-group">
            <p class="nav-title">{group}</p>
            <ul>
              {VIEWS.filter((view) => view.group === group).map(({ path, title }) => (
                <li key={path}>
                  <Link href={viewAddress(path, search)} aria-current={isHere(path) ? "page" : undefined}>
                    {title}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </div>
    </nav>
  );
}
