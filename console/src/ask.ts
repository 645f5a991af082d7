/** One answer of the API by its address: the shortest way to show something. */
import { address, get, type Params } from "./api";
import { useData, type Loaded } from "./data";

/** Load an answer, and again when path or parameters change. A null path asks nothing. */
export function useAnswer<T>(path: string | null, params: Params = {}, everyMs = 0): Loaded<T> {
  const key = path === null ? null : address(path, params);
  return useData<T>(key, (signal) => get<T>(key ?? "", undefined, signal), everyMs);
}
