/** What comes in by itself: the API's WebSocket, connected again whenever it breaks, without missing anything. */
import { useEffect, useRef, useState } from "preact/hooks";
import { address, apiKey } from "./api";
import type { Anomaly, Window } from "./types";

export interface AttackEvent {
  class_name: string;
  capture_id: string;
  flows: number;
  [more: string]: unknown;
}

export type LiveEvent =
  | { event: "window"; id: string; data: Window }
  | { event: "anomaly"; id: string; data: Anomaly }
  | { event: "classification"; id: string; data: AttackEvent }
  | { event: "ready" | "heartbeat" | "reset" | "dropped"; id: string; data: unknown };

export type LiveState = "connecting" | "open" | "waiting";

export interface LiveOptions {
  kinds: ("windows" | "anomalies" | "classifications")[];
  capture?: string;
  onEvent: (event: LiveEvent) => void;
  onState?: (state: LiveState) => void;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** Listen until the returned function is called. */
export function listen({ kinds, capture, onEvent, onState }: LiveOptions): () => void {
  let socket: WebSocket | null = null;
  let lastId = "";
  let timer = 0;
  let wait = FIRST_WAIT_MS;
  let isOver = false;

  const connect = () => {
    onState?.("connecting");
    const path = address("/api/stream", { kinds: kinds.join(","), capture, last_event_id: lastId });
    const url = new URL(path, window.location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const key = apiKey();
    socket = new WebSocket(url, key ? ["spanwatch", `spanwatch.key.${key}`] : ["spanwatch"]);
    socket.onmessage = (message) => {
      const event = JSON.parse(message.data as string) as LiveEvent;
      wait = FIRST_WAIT_MS;
      lastId = event.id || lastId;
      onState?.("open");
      onEvent(event);
    };
    socket.onclose = () => {
      if (isOver) return;
      onState?.("waiting");
      timer = window.setTimeout(connect, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    };
  };
  connect();
  return () => {
    isOver = true;
    window.clearTimeout(timer);
    socket?.close();
  };
}

/** Listen as long as a view is shown; returns how the connection stands. */
export function useLive(options: LiveOptions): LiveState {
  const [state, setState] = useState<LiveState>("connecting");
  const latest = useRef(options.onEvent);
  latest.current = options.onEvent;
  const { capture } = options;
  const kinds = options.kinds.join(",");
  useEffect(
    () =>
      listen({
        kinds: kinds.split(",") as LiveOptions["kinds"],
        capture,
        onEvent: (event) => latest.current(event),
        onState: setState,
      }),
    [kinds, capture],
  );
  return state;
}

/** A list that keeps its newest `most` entries: a view that is open for days must not grow. */
export function withNewest<T>(list: readonly T[], entry: T, most: number): T[] {
  return list.length < most ? [...list, entry] : [...list.slice(list.length - most + 1), entry];
}
