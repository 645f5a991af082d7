/** The top of every view: which capture, which time, how it looks. */
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { captureName, useCaptures } from "./captures";
import { Dialog } from "./components/controls";
import { setApiKey, apiKey } from "./api";
import { useScope, useSetParams } from "./scope";
import { theme as themeNow, toggleTheme, useTheme } from "./theme";
import { fieldValue, moment, ofField, PRESETS } from "./time";

export function Header({ onHelp, failure }: { onHelp: () => void; failure: Error | null }) {
  const theme = useTheme();
  return (
    <header class="header">
      <Link href="/" class="brand">
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <rect width="32" height="32" rx="7" class="brand-box" />
          <path d="M4 18h5l3-9 5 15 4-10 2 4h5" class="brand-line" />
        </svg>
        spanwatch
      </Link>
      <CaptureChoice />
      <RangeChoice />
      <span class="header-space" />
      {failure && (
        <span class="badge badge-high" role="status">
          <span aria-hidden="true">◆</span> no answer
        </span>
      )}
      {apiKey() && (
        <button type="button" class="button button-small" onClick={() => (setApiKey(""), window.location.reload())}>
          Forget key
        </button>
      )}
      <button type="button" class="button button-icon" onClick={toggleTheme} aria-label={`Show in ${theme === "dark" ? "light" : "dark"} colours`} title="Light or dark (t)">
        <span aria-hidden="true">{themeNow() === "dark" ? "☀" : "☾"}</span>
      </button>
      <button type="button" class="button button-icon" onClick={onHelp} aria-label="Keys" title="Keys (?)">
        <span aria-hidden="true">?</span>
      </button>
    </header>
  );
}

function CaptureChoice() {
  const { captures, current } = useCaptures();
  const { capture } = useScope();
  const setParams = useSetParams();
  const [location, navigate] = useLocation();
  const choose = (id: string) => {
    // A page about one thing of one capture means nothing in another one.
    const parts = location.split("/");
    if (parts.length > 2) {
      const to = parts[1] === "captures" && id ? `/captures/${id}` : `/${parts[1]}`;
      navigate(id ? `${to}?capture=${id}` : to);
    } else setParams({ capture: id || null, from: null, to: null, offset: null, window: null });
  };
  const newest = captures.find((one) => one.state !== "failed");
  return (
    <label class="choice choice-capture">
      <span class="choice-label">Capture</span>
      <select value={capture} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="">{newest ? `Newest: ${captureName(newest)}` : "None yet"}</option>
        {capture && !current && <option value={capture}>{capture}</option>}
        {captures.map((one) => (
          <option key={one.capture_id} value={one.capture_id}>
            {captureName(one)} · {one.started_at.slice(5, 16).replace("T", " ")}
            {one.state === "complete" ? "" : ` · ${one.state}`}
          </option>
        ))}
      </select>
    </label>
  );
}

function RangeChoice() {
  const { current, isLoaded } = useCaptures();
  const scope = useScope();
  const setParams = useSetParams();
  const [isOpen, setOpen] = useState(false);
  const isWhole = scope.from === null && scope.to === null;
  const end = current?.last_packet ?? Date.now() / 1000;
  const said = isWhole
    ? "Whole capture"
    : `${scope.from === null ? "begin" : moment(scope.from / 1000).slice(5)} – ${scope.to === null ? "end" : moment(scope.to / 1000).slice(5)}`;
  const choose = (from: number | null, to: number | null) => {
    setParams({ from: from === null ? null : Math.round(from), to: to === null ? null : Math.round(to), offset: null });
    setOpen(false);
  };
  return (
    <>
      <button type="button" class="choice choice-range" onClick={() => setOpen(true)} aria-haspopup="dialog">
        <span class="choice-label">Time (UTC)</span>
        <span class="choice-value">{said}</span>
      </button>
      <Dialog title="Time range" isOpen={isOpen} onClose={() => setOpen(false)}>
        <div class="presets">
          {PRESETS.map(({ name, seconds }) => (
            <button key={name} type="button" class="button" disabled={!isLoaded} onClick={() => choose(seconds === null ? null : (end - seconds) * 1000, null)}>
              {name}
            </button>
          ))}
        </div>
        <p class="muted">Ranges end where the capture ends: {moment(end)}.</p>
        <form
          class="form-row"
          onSubmit={(event) => {
            event.preventDefault();
            const given = new FormData(event.currentTarget);
            choose(ofField(String(given.get("from"))), ofField(String(given.get("to"))));
          }}
        >
          <label>
            From <input type="datetime-local" step="1" name="from" defaultValue={fieldValue(scope.from ?? (current?.first_packet ? current.first_packet * 1000 : null))} />
          </label>
          <label>
            To <input type="datetime-local" step="1" name="to" defaultValue={fieldValue(scope.to ?? end * 1000)} />
          </label>
          <button type="submit" class="button button-primary">
            Show
          </button>
        </form>
      </Dialog>
    </>
  );
}
