/** What stands where data will be, is not, or could not be had. */
import type { ComponentChildren } from "preact";
import { ApiError } from "../api";
import type { Loaded } from "../data";

export function Loading({ what = "Loading" }: { what?: string }) {
  return (
    <p class="state state-loading" role="status">
      <span class="spinner" aria-hidden="true" /> {what}…
    </p>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state state-empty">
      <p class="state-title">{title}</p>
      {children && <div class="muted">{children}</div>}
    </div>
  );
}

export function Failure({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const status = error instanceof ApiError && error.status ? ` (${error.status})` : "";
  return (
    <div class="state state-error" role="alert">
      <p>
        <strong>That did not work{status}.</strong> {error.message}
      </p>
      {onRetry && (
        <button type="button" class="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Shows what has been loaded, or why it has not. Data of before stays visible below a failure. */
export function Async<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ComponentChildren }) {
  return (
    <>
      {of.error && <Failure error={of.error} onRetry={of.reload} />}
      {of.data !== null ? (
        <div class={of.isLoading ? "block is-stale" : "block"} aria-busy={of.isLoading}>
          {children(of.data)}
        </div>
      ) : (
        !of.error && <Loading />
      )}
    </>
  );
}
