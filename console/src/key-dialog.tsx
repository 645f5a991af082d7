/** Asks for an API key when the API does. */
import { useEffect, useRef, useState } from "preact/hooks";
import { setApiKey, setKeyDialog } from "./api";
import { Dialog } from "./components/controls";

export function KeyDialog() {
  const [why, setWhy] = useState<string | null>(null);
  const answer = useRef<(given: boolean) => void>(() => undefined);
  useEffect(() => {
    setKeyDialog((reason) => {
      setWhy(reason);
      return new Promise<boolean>((resolve) => (answer.current = resolve));
    });
  }, []);
  const close = (given: boolean) => {
    setWhy(null);
    answer.current(given);
    answer.current = () => undefined;
  };
  return (
    <Dialog title="A key is needed" isOpen={why !== null} onClose={() => close(false)}>
      <p>The API says: {why}</p>
      <form
        class="form-row"
        onSubmit={(event) => {
          event.preventDefault();
          setApiKey(String(new FormData(event.currentTarget).get("key")));
          close(true);
        }}
      >
        <label>
          Key <input type="password" name="key" autocomplete="off" required placeholder="sw_…" />
        </label>
        <button type="submit" class="button button-primary">
          Use it
        </button>
      </form>
      <p class="muted">
        <code>spanwatch key create NAME --scope read --scope capture</code> makes one. It is kept until this tab is closed.
      </p>
    </Dialog>
  );
}
