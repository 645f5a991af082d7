/** The captures there are, and the one that is looked at: loaded once, for every view. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Capture } from "./types";

export interface KnownCaptures {
  captures: Capture[];
  /** The one named in the address, else the newest that has not failed; null while there is none. */
  current: Capture | null;
  isLoaded: boolean;
  reload: () => void;
}

export const CapturesContext = createContext<KnownCaptures>({
  captures: [],
  current: null,
  isLoaded: false,
  reload: () => undefined,
});

export const useCaptures = (): KnownCaptures => useContext(CapturesContext);

/** The last part of a file's path, or the interface. */
export const captureName = (capture: Capture): string => capture.name.split("/").pop() || capture.name;
