// Requests to the service: adds the key, and turns problems into errors with one sentence.

const KEY = "greenroom.key";

export class ServiceError extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || "The service did not answer.");
    this.status = problem.status ?? 0;
    this.code = problem.code ?? "Unreachable";
  }
}

let askForKey = async () => { throw new Error("no key dialog"); };

/** Tell how to ask the person for a key; it is called once at a time, after a 401. */
export function onKeyNeeded(ask) {
  let asking = null;
  askForKey = (refused) => {
    asking ??= ask(refused).then((key) => sessionStorage.setItem(KEY, key)).finally(() => { asking = null; });
    return asking;
  };
}

function headers(extra) {
  const key = sessionStorage.getItem(KEY);
  return { ...(key ? { Authorization: `Bearer ${key}` } : {}), ...extra };
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return { status: response.status, detail: `The service answered ${response.status}.` };
  }
}

/** Fetch; asks for the key when the service wants one. */
export async function request(path, { method = "GET", body, headers: extra = {}, signal } = {}) {
  for (;;) {
    const sent = sessionStorage.getItem(KEY);
    let response;
    try {
      response = await fetch(path, {
        method,
        signal,
        headers: headers(body === undefined ? extra : { "Content-Type": "application/json", ...extra }),
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ServiceError({ detail: "The service cannot be reached. It may be starting, or it was stopped." });
    }
    if (response.ok) return response;
    if (response.status !== 401) throw new ServiceError(await problemOf(response));
    if (sessionStorage.getItem(KEY) === sent) await askForKey(sent !== null);
  }
}

/** Fetch and decode; null when there is no body. */
export async function call(path, options) {
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

/** The path of a session's resource. */
export function sessionPath(id, rest = "") {
  return `/v1/sessions/${encodeURIComponent(id)}${rest}`;
}
