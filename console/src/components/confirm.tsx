/** What changes how spanwatch works is asked for twice, with a reason for the history. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "./controls";
import { Failure } from "./states";

export function Confirmed({ label, title, children, act, isDanger, isDisabled }: {
  /** On the button that opens the question, and on the one that does it. */
  label: string;
  title: string;
  children: ComponentChildren;
  act: (reason: string) => Promise<unknown>;
  isDanger?: boolean;
  isDisabled?: boolean;
}) {
  const [isOpen, setOpen] = useState(false);
  const [failed, setFailed] = useState<Error | null>(null);
  const [isBusy, setBusy] = useState(false);
  const close = () => {
    setOpen(false);
    setFailed(null);
  };
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const reason = String(new FormData(event.currentTarget as HTMLFormElement).get("reason") ?? "");
    setBusy(true);
    try {
      await act(reason);
      close();
    } catch (error) {
      setFailed(error as Error);
    } finally {
      setBusy(false);
    }
  };
  const look = isDanger ? "button button-danger" : "button";
  return (
    <>
      <button type="button" class={look} disabled={isDisabled} onClick={() => setOpen(true)}>
        {label}…
      </button>
      <Dialog title={title} isOpen={isOpen} onClose={close}>
        <form class="stack" onSubmit={submit}>
          <div>{children}</div>
          <label class="field-label">
            Reason, for the history
            <input name="reason" maxLength={500} autoComplete="off" />
          </label>
          {failed && <Failure error={failed} />}
          <div class="row">
            <button type="submit" class={isDanger ? look : "button button-primary"} disabled={isBusy}>
              {label}
            </button>
            <button type="button" class="button" onClick={close}>
              Cancel
            </button>
          </div>
        </form>
      </Dialog>
    </>
  );
}
