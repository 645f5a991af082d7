import { Empty } from "./components/states";

/** Stands for a view that could not be loaded: the console was built anew since the page was opened. */
export function Outdated() {
  return (
    <>
      <h1>This page is out of date</h1>
      <Empty title="The console was changed since you opened it, or the API does not answer.">
        <button type="button" class="button button-primary" onClick={() => window.location.reload()}>
          Load it again
        </button>
      </Empty>
    </>
  );
}
