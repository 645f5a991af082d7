/** Asking the API: typed, with its own words when it refuses, and with a key once it has asked for one. */

const KEY = "spanwatch.key";

/** What the API said when it refused. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

export type Params = Record<string, string | number | boolean | null | undefined>;

/** The path with its parameters; what is null, undefined or empty is left out. */
export function address(path: string, params: Params = {}): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") given.set(name, String(value));
  }
  const text = given.toString();
  return text ? `${path}?${text}` : path;
}

export const apiKey = (): string => sessionStorage.getItem(KEY) ?? "";

export function setApiKey(key: string): void {
  if (key) sessionStorage.setItem(KEY, key.trim());
  else sessionStorage.removeItem(KEY);
}

/** Asks its user for a key; resolves to whether there is one now. The shell sets it. */
type AskForKey = (why: string) => Promise<boolean>;
let askForKey: AskForKey = async () => false;
let asking: Promise<boolean> | null = null;
let isDeclined = false;

export function setKeyDialog(ask: AskForKey): void {
  askForKey = ask;
}

async function wantsKey(why: string, mayAskAgain: boolean): Promise<boolean> {
  if (asking) return asking;
  if (isDeclined && !mayAskAgain) return false;
  asking = askForKey(why).finally(() => (asking = null));
  const given = await asking;
  isDeclined = !given;
  return given;
}

function headers(more: Record<string, string> = {}): Record<string, string> {
  const key = apiKey();
  return key ? { ...more, "X-API-Key": key } : more;
}

/** The words of a refusal: the API's own when it sent JSON. */
function refusal(status: number, text: string): ApiError {
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // A proxy in between answers as it likes.
  }
  const words = [body.message, body.detail, body.error].find((word) => typeof word === "string" && word);
  return new ApiError(status, String(words ?? `The API answered with status ${status}.`), body);
}

async function ask(path: string, options: RequestInit, acts: boolean): Promise<Response> {
  for (let tries = 0; ; tries += 1) {
    let answer: Response;
    try {
      answer = await fetch(path, { ...options, headers: headers(options.headers as Record<string, string>) });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new ApiError(0, "The API does not answer. Is it running?");
    }
    if (answer.ok) return answer;
    const refused = refusal(answer.status, await answer.text());
    const isAboutKey = refused.status === 401 || (refused.status === 403 && acts);
    if (!isAboutKey || tries > 2 || !(await wantsKey(refused.message, acts))) throw refused;
  }
}

/** Read from the API. Rejects with an `ApiError`, or an `AbortError` once `signal` says so. */
export async function get<T>(path: string, params?: Params, signal?: AbortSignal): Promise<T> {
  const answer = await ask(address(path, params), { signal }, false);
  return (await answer.json()) as T;
}

/** Read text: a file of logs, a report. */
export async function getText(path: string, params?: Params, signal?: AbortSignal): Promise<string> {
  return (await ask(address(path, params), { signal }, false)).text();
}

/** Have the API do something. */
export async function send<T>(method: "POST" | "DELETE" | "PUT", path: string, body?: unknown): Promise<T> {
  const options: RequestInit = { method };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  const answer = await ask(path, options, true);
  return (await answer.json()) as T;
}

/** Save an answer as a file: links cannot show a key. */
export async function download(path: string, name: string): Promise<void> {
  const answer = await ask(path, {}, false);
  const url = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  const said = /filename="?([^";]+)/.exec(answer.headers.get("content-disposition") ?? "");
  link.href = url;
  link.download = said?.[1] ?? name;
  link.click();
  URL.revokeObjectURL(url);
}

/** Send a file and tell how much of it is there. `fetch` does not report progress of what it sends. */
export function upload<T>(path: string, file: File, onProgress: (share: number) => void): Promise<T> {
  const once = () =>
    new Promise<T>((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", path);
      for (const [name, value] of Object.entries(headers({ "Content-Type": "application/octet-stream" }))) {
        request.setRequestHeader(name, value);
      }
      request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onerror = () => reject(new ApiError(0, "The upload broke off. Is the API running?"));
      request.onload = () => {
        if (request.status < 300) resolve(JSON.parse(request.responseText) as T);
        else reject(refusal(request.status, request.responseText));
      };
      request.send(file);
    });
  return once().catch(async (error: unknown) => {
    const isAboutKey = error instanceof ApiError && (error.status === 401 || error.status === 403);
    if (isAboutKey && (await wantsKey(error.message, true))) return once();
    throw error;
  });
}
