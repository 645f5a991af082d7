/** What a view shows of the API: loading, failed or there, and asked again when it should be. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  data: T | null;
  error: Error | null;
  isLoading: boolean;
  reload: () => void;
}

/**
 * Load something, and again whenever `key` changes or `everyMs` have passed; an older answer never replaces a newer one.
 * What is there stays until the next answer, so that nothing flickers. A null key loads nothing.
 */
export function useData<T>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<T>,
  everyMs = 0,
): Loaded<T> {
  const [state, setState] = useState<{ key: string | null; data: T | null; error: Error | null }>({
    key: null,
    data: null,
    error: null,
  });
  const [turn, setTurn] = useState(0);
  const loading = useRef(load);
  loading.current = load;
  useEffect(() => {
    if (key === null) return undefined;
    const stop = new AbortController();
    let timer = 0;
    const run = async () => {
      try {
        if (!document.hidden || turn === 0) {
          const data = await loading.current(stop.signal);
          if (!stop.signal.aborted) setState({ key, data, error: null });
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        setState((now) => ({ key, data: now.key === key ? now.data : null, error: error as Error }));
      }
      if (everyMs && !stop.signal.aborted) timer = window.setTimeout(run, everyMs);
    };
    void run();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [key, turn, everyMs]);
  const reload = useCallback(() => setTurn((now) => now + 1), []);
  const isCurrent = state.key === key;
  return {
    data: state.data,
    error: isCurrent ? state.error : null,
    isLoading: key !== null && !isCurrent,
    reload,
  };
}
