/** Cutting an address off: never without having seen who is cut off from whom. */
import { useState } from "preact/hooks";
import { address as pathOf, send } from "../api";
import { useAnswer } from "../ask";
import { bytes, count, plural } from "../format";
import type { Schemas } from "../types";
import { Badge } from "./badge";
import { Dialog } from "./controls";
import { Async, Failure } from "./states";
import { Table } from "./table";
import "./filters.css";

type Preview = Schemas["PreviewAnswer"];

export const DURATIONS: [seconds: string, title: string][] = [
  ["600", "10 minutes"],
  ["3600", "1 hour"],
  ["21600", "6 hours"],
  ["86400", "1 day"],
  ["604800", "1 week"],
];

/** Opens the preview; what is blocked then is told to `onDone`. */
export function BlockButton({ ip, capture, reason, onDone, label }: {
  ip: string;
  capture: string;
  reason: string;
  onDone?: () => void;
  label?: string;
}) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="button button-danger" onClick={() => setOpen(true)}>
        {label ?? `Block ${ip}…`}
      </button>
      <Dialog title={`Block ${ip}?`} isOpen={isOpen} onClose={() => setOpen(false)}>
        <BlockForm ip={ip} capture={capture} reason={reason} onDone={onDone} />
      </Dialog>
    </>
  );
}

/** Who would be cut off, for how long, why; and the button that does it. */
export function BlockForm({ ip, capture, reason, onDone }: {
  ip: string;
  /** Whose traffic is looked at; empty for the last 24 hours. */
  capture: string;
  reason: string;
  onDone?: () => void;
}) {
  const seen = useAnswer<Preview>(`/active-defense/preview/${encodeURIComponent(ip)}`, { capture });
  return (
    <Async of={seen}>
      {(preview) => (
        <div class="stack">
          <Standing preview={preview} />
          <WhoIsCutOff preview={preview} isOfCapture={Boolean(capture)} />
          {!preview.refusal && <Order preview={preview} reason={reason} onDone={() => (seen.reload(), onDone?.())} />}
        </div>
      )}
    </Async>
  );
}

function Standing({ preview }: { preview: Preview }) {
  if (preview.refusal) {
    return (
      <p class="state state-error" role="alert">
        <span>
          <strong>This address is never blocked.</strong> {preview.refusal}.
        </span>
      </p>
    );
  }
  if (preview.is_dry_run) {
    return (
      <p>
        <Badge tone="info">dry run</Badge> The firewall is in dry run: the block is listed and ends by itself, and <strong>no packet is dropped</strong>.
      </p>
    );
  }
  return (
    <p>
      <Badge tone="high">in earnest</Badge> The firewall ({preview.firewall}) drops everything from and to this address.
    </p>
  );
}

function WhoIsCutOff({ preview, isOfCapture }: { preview: Preview; isOfCapture: boolean }) {
  const { total, hosts, peers } = preview;
  const when = isOfCapture ? "in this capture" : "in the last 24 hours";
  if (hosts === 0) return <p>Nobody had to do with {preview.ip} {when}.</p>;
  const columns = [
    { key: "ip", title: "Host", cell: (peer: (typeof peers)[number]) => <span class="mono">{peer.ip}</span> },
    { key: "services", title: "Services", cell: (peer: (typeof peers)[number]) => peer.services.join(", "), grow: true },
    { key: "flows", title: "Flows", cell: (peer: (typeof peers)[number]) => count(peer.flows), numeric: true },
    { key: "bytes", title: "Bytes", cell: (peer: (typeof peers)[number]) => bytes(peer.bytes), numeric: true },
  ];
  return (
    <div>
      <p>
        <strong>{plural(hosts, "host")}</strong> would be cut off from it: {plural(total.flows, "flow")} and {bytes(total.bytes)} {when}
        {total.open_flows > 0 && <>, {plural(total.open_flows, "flow")} still open</>}.
      </p>
      <Table caption={`Hosts that had to do with ${preview.ip}`} columns={columns} rows={peers.slice(0, 8)} rowKey={(peer) => peer.ip} />
      {peers.length > 8 && <p class="muted small">and {count(hosts - 8)} more</p>}
    </div>
  );
}

function Order({ preview, reason, onDone }: { preview: Preview; reason: string; onDone: () => void }) {
  const [duration, setDuration] = useState("3600");
  const [why, setWhy] = useState(reason);
  const [failed, setFailed] = useState<Error | null>(null);
  const [said, setSaid] = useState("");
  const path = `/active-defense/block/${encodeURIComponent(preview.ip)}`;
  const run = async (act: () => Promise<{ message: string }>) => {
    try {
      const { message } = await act();
      setFailed(null);
      setSaid(message);
      onDone();
    } catch (error) {
      setFailed(error as Error);
    }
  };
  const block = (event: Event) => {
    event.preventDefault();
    void run(() => send("POST", pathOf(path, { duration, reason: why })));
  };
  return (
    <form class="stack" onSubmit={block}>
      {!preview.is_blocked && (
        <div class="form-row">
          <label>
            For
            <select class="field" value={duration} onChange={(event) => setDuration(event.currentTarget.value)}>
              {DURATIONS.map(([seconds, title]) => (
                <option key={seconds} value={seconds}>
                  {title}
                </option>
              ))}
            </select>
          </label>
          <label class="block-reason">
            Reason
            <input value={why} maxLength={500} onInput={(event) => setWhy(event.currentTarget.value)} />
          </label>
        </div>
      )}
      {failed && <Failure error={failed} />}
      <div class="row">
        {preview.is_blocked ? (
          <button type="button" class="button" onClick={() => void run(() => send("DELETE", path))}>
            Undo the block
          </button>
        ) : (
          <button type="submit" class="button button-danger">
            Block {preview.ip}
            {preview.is_dry_run ? " (dry run)" : ""}
          </button>
        )}
        <span role="status">{said && `${said}${preview.is_dry_run ? " (dry run)" : ""}.`}</span>
      </div>
    </form>
  );
}
