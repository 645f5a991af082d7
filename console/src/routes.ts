/** Every view: its path below /console, and where it stands in the navigation. */
import type { ComponentType } from "preact";
import { lazy } from "preact/compat";
import { Outdated } from "./outdated";

export interface View {
  path: string;
  component: ComponentType;
  /** Entry of the navigation; views without one are reached from others. */
  title?: string;
  /** Pressed after `g`. */
  shortcut?: string;
  group?: "Watch" | "Records" | "Operate";
}

/** A view that is loaded when it is first shown; one of another build than the page is no longer there. */
function shown(load: () => Promise<{ default: ComponentType }>): ComponentType {
  return lazy(() => load().catch(() => ({ default: Outdated })));
}

export const VIEWS: View[] = [
  { path: "/", title: "Now", shortcut: "n", group: "Watch", component: shown(() => import("./views/now")) },
  { path: "/anomalies", title: "Anomalies", shortcut: "a", group: "Watch", component: shown(() => import("./views/anomalies")) },
  { path: "/anomalies/:id", component: shown(() => import("./views/anomaly")) },
  { path: "/windows", title: "Windows", shortcut: "w", group: "Watch", component: shown(() => import("./views/windows")) },
  { path: "/flows", title: "Flows", shortcut: "f", group: "Watch", component: shown(() => import("./views/flows")) },
  { path: "/flows/:id", component: shown(() => import("./views/flow")) },
  { path: "/hosts", title: "Hosts", shortcut: "h", group: "Watch", component: shown(() => import("./views/hosts")) },
  { path: "/hosts/:address", component: shown(() => import("./views/host")) },
  { path: "/captures", title: "Captures", shortcut: "c", group: "Records", component: shown(() => import("./views/captures")) },
  { path: "/captures/:id", component: shown(() => import("./views/capture")) },
  { path: "/defence", title: "Defence", shortcut: "d", group: "Operate", component: shown(() => import("./views/defence")) },
  { path: "/models", title: "Models", shortcut: "m", group: "Operate", component: shown(() => import("./views/models")) },
  { path: "/models/:id", component: shown(() => import("./views/model")) },
  { path: "/pipeline", title: "Pipeline", shortcut: "p", group: "Operate", component: shown(() => import("./views/pipeline")) },
];
