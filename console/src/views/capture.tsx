/** One capture: how far it is, and what was found in it. */
import { useEffect, useRef } from "preact/hooks";
import { useParams } from "wouter-preact";
import { ApiError, get } from "../api";
import { captureName, useCaptures } from "../captures";
import { Async, Badge, Empty, Failure, Figures, Loading, Panel, ViewLink, ViewTitle } from "../components";
import { CaptureReport } from "../components/capture-report";
import { useData } from "../data";
import { bytes, count, plural } from "../format";
import { moment, secondsOf } from "../time";
import type { Capture, Captures, Ledger, Report } from "../types";
import { StateBadge } from "./captures";

const LOOK_MS = 700;

export default function CaptureView() {
  const { id = "" } = useParams<{ id: string }>();
  const isListed = useRef("");
  const asked = useData(`capture ${id}`, (signal) => captureOf(id, isListed, signal), LOOK_MS);
  const { reload } = useCaptures();
  const isOver = Boolean(asked.data && (asked.data.is_complete || asked.data.state === "failed"));
  // The choice of captures above learns of its end at once.
  useEffect(() => {
    if (isOver) reload();
  }, [isOver, reload]);
  return (
    <Async of={{ ...asked, data: asked.isLoading ? null : asked.data }}>
      {(capture) => (capture === NOBODY ? <Unknown /> : <Known capture={capture} isOver={isOver} />)}
    </Async>
  );
}

/** Stands for a capture that the API does not know, or not yet. */
const NOBODY = {} as Capture;
const LISTED = 200;

/** Where a capture stands. One that was just asked for is looked for in the list: until it begins, asking for it is an error. */
async function captureOf(id: string, isListed: { current: string }, signal: AbortSignal): Promise<Capture> {
  if (isListed.current !== id) {
    const { captures, total } = await get<Captures>("/api/captures", { limit: LISTED }, signal);
    const found = captures.find((capture) => capture.capture_id === id);
    if (!found && total <= LISTED) return NOBODY;
    isListed.current = id;
    if (found) return found;
  }
  try {
    return await get<Capture>(`/api/captures/${encodeURIComponent(id)}`, {}, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return NOBODY;
    throw error;
  }
}

function Unknown() {
  return (
    <>
      <ViewTitle title="Capture" />
      <Empty title="There is no such capture, or reading it has not begun.">
        A file is read as soon as a worker is free: <ViewLink to="/pipeline">the pipeline</ViewLink> shows what it does.
      </Empty>
    </>
  );
}

function Known({ capture, isOver }: { capture: Capture; isOver: boolean }) {
  const scope = { capture: capture.capture_id, from: null, to: null };
  return (
    <>
      <ViewTitle
        title={captureName(capture)}
        actions={
          <>
            <ViewLink to="/anomalies" more={scope} class="button">Anomalies</ViewLink>
            <ViewLink to="/flows" more={scope} class="button">Flows</ViewLink>
            <ViewLink to="/windows" more={scope} class="button">Windows</ViewLink>
            <ViewLink to="/hosts" more={scope} class="button">Hosts</ViewLink>
          </>
        }
      >
        <StateBadge capture={capture} /> {capture.source === "live" ? "live on" : "file read on"} {capture.sensor},{" "}
        {moment(secondsOf(capture.started_at))} UTC
        {capture.is_truncated && <> · <Badge tone="medium">the file ends inside a packet</Badge></>}
      </ViewTitle>
      {capture.state === "failed" ? (
        <Failure error={new Error(`It could not be read: ${capture.error}`)} />
      ) : isOver ? (
        <ReportOf capture={capture} />
      ) : capture.source === "live" ? (
        <LiveSoFar capture={capture} />
      ) : (
        <Progress capture={capture} />
      )}
    </>
  );
}

function Progress({ capture }: { capture: Capture }) {
  const path = `/api/captures/${capture.capture_id}/ledger`;
  const ledger = useData(path, (signal) => get<Ledger>(path, {}, signal), LOOK_MS);
  const isRead = capture.state === "complete";
  // Every hop behind the reader passes every packet once.
  const behind = ledger.data?.hops.filter((hop) => hop.hop !== "read") ?? [];
  const done = behind.reduce((sum, hop) => sum + hop.packets_out, 0);
  const share = isRead && capture.packets ? Math.min(1, done / (8 * capture.packets)) : undefined;
  return (
    <Panel title={isRead ? "Computing" : "Reading"}>
      <p role="status">
        {isRead
          ? `All ${plural(capture.packets, "packet")} are read; windows, flows and verdicts are being computed.`
          : `${plural(capture.packets, "packet")}, ${bytes(capture.bytes)} read so far.`}
      </p>
      <progress max={1} value={share} aria-label="How much is computed" />
    </Panel>
  );
}

function LiveSoFar({ capture }: { capture: Capture }) {
  const scope = { capture: capture.capture_id };
  return (
    <>
      <Figures
        of={[
          { label: "Packets", value: count(capture.packets) },
          { label: "Bytes", value: bytes(capture.bytes) },
          { label: "Newest packet", value: moment(capture.last_packet, false), note: "UTC" },
        ]}
      />
      <Panel title="It goes on">
        <p>
          <ViewLink to="/" more={scope}>Watch it as it comes in</ViewLink>, or <ViewLink to="/captures">stop it</ViewLink>. Its
          report is here as soon as it is over.
        </p>
      </Panel>
      <ReportOf capture={capture} isBrief />
    </>
  );
}

function ReportOf({ capture, isBrief }: { capture: Capture; isBrief?: boolean }) {
  const path = `/api/captures/${capture.capture_id}/report`;
  const report = useData(path, (signal) => get<Report>(path, {}, signal), isBrief ? 10_000 : 0);
  if (!report.data && !report.error) return <Loading what="Making the report" />;
  return <Async of={report}>{(found) => <CaptureReport report={found} />}</Async>;
}

