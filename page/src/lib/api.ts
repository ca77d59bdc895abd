/** Calls to the server: one function a resource, errors as one class. */

import type {
  Account,
  Anticipation,
  AuditEvent,
  Bullseye,
  Facets,
  InsertionPoints,
  Job,
  LoginOptions,
  Measurement,
  Reading,
  Reason,
  Role,
  SavedView,
  Segment,
  Session,
  Statistics,
  Verdict,
  Worklist,
} from './types';

/** An answer that is no success; `message` may be shown to the reader. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

let csrf = '';
let signedOut: () => void = () => undefined;

/** Use this token from now on. */
export function setToken(token: string): void {
  csrf = token;
}

/** Call this when the server says that nobody is signed in any more. */
export function whenSignedOut(act: () => void): void {
  signedOut = act;
}

function words(body: unknown, response: Response): string {
  const detail = (body as { detail?: unknown } | null)?.detail;
  if (typeof detail === 'string') return detail;
  if (Array.isArray(detail)) {
    return detail.map((fault: { msg?: string }) => fault.msg ?? '').join('; ');
  }
  return `The server answered ${response.status} ${response.statusText}`;
}

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (method !== 'GET') headers['X-CSRF-Token'] = csrf;
  let payload: BodyInit | null = null;
  if (body instanceof Blob) {
    payload = body;
    headers['Content-Type'] = 'application/octet-stream';
  } else if (body !== undefined) {
    payload = JSON.stringify(body);
    headers['Content-Type'] = 'application/json';
  }
  let response: Response;
  try {
    response = await fetch(path, { method, headers, body: payload, credentials: 'same-origin' });
  } catch {
    throw new Refused(0, 'The server cannot be reached');
  }
  if (response.ok) return response;
  const answer: unknown = await response.json().catch(() => null);
  if (response.status === 401 && path !== '/api/session') signedOut();
  const wait = Number(response.headers.get('Retry-After'));
  throw new Refused(response.status, words(answer, response), wait > 0 ? wait : null);
}

async function get<T>(path: string): Promise<T> {
  return (await (await call('GET', path)).json()) as T;
}

async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await (await call(method, path, body)).json()) as T;
}

/** Return the bytes of a file of the server. */
export async function bytes(url: string): Promise<ArrayBuffer> {
  return (await call('GET', url)).arrayBuffer();
}

const id = encodeURIComponent;

export const api = {
  loginOptions: () => get<LoginOptions>('/api/login/options'),
  session: () => get<Session>('/api/session'),
  signIn: (name: string, password: string) =>
    send<Session>('POST', '/api/session', { name, password }),
  changePassword: (old: string, now: string) =>
    call('POST', '/api/session/password', { old, new: now }),
  signOut: () => call('DELETE', '/api/session'),

  worklist: (query: URLSearchParams) => get<Worklist>(`/api/worklist?${query}`),
  facets: () => get<Facets>('/api/worklist/facets'),
  views: () => get<SavedView[]>('/api/views'),
  saveView: ({ name, query }: SavedView) => call('PUT', `/api/views/${id(name)}`, { query }),
  dropView: (name: string) => call('DELETE', `/api/views/${id(name)}`),

  job: (job: string) => get<Job>(`/api/jobs/${id(job)}`),
  anticipation: (job: string, t: number) =>
    get<Anticipation>(`/api/jobs/${id(job)}/anticipation?t_s=${t}`),
  reasons: () => get<Reason[]>('/api/reasons'),
  judge: (job: string, verdict: JudgedAs) =>
    send<Reading>('POST', `/api/jobs/${id(job)}/verdicts`, verdict),
  correctSegmentation: (job: string, labels: Blob) =>
    send<Correction>('POST', `/api/jobs/${id(job)}/corrections/segmentation`, labels),
  correctMembers: (job: string, chosen: Record<number, string>) =>
    send<Correction>('POST', `/api/jobs/${id(job)}/corrections/members`, chosen),
  correctInsertions: (job: string, points: Record<number, InsertionPoints>) =>
    send<Correction>('POST', `/api/jobs/${id(job)}/corrections/insertions`, points),
  correctPhases: (job: string, segments: Segment[]) =>
    send<Correction>('POST', `/api/jobs/${id(job)}/corrections/phases`, { segments }),

  statistics: (analysis: string) => get<Statistics>(`/api/statistics?analysis=${id(analysis)}`),
  exportTrainingSet: async (analysis: string, deidentified: boolean) =>
    (await call('POST', '/api/exports', { analysis, deidentified })).blob(),
  accounts: () => get<Account[]>('/api/accounts'),
  addAccount: (account: NewAccount) => send<unknown>('POST', '/api/accounts', account),
  changeAccount: (name: string, change: Partial<NewAccount & { enabled: boolean }>) =>
    send<unknown>('PATCH', `/api/accounts/${id(name)}`, change),
  audit: (query: URLSearchParams) => get<AuditEvent[] | AuditPage>(`/api/audit?${query}`),
};

export interface JudgedAs {
  verdict: Verdict;
  reason?: string;
  words?: string;
  correction?: string;
}

export interface Correction {
  correction: string;
  measurements?: Measurement[];
  segments?: { bullseye: Bullseye | null; notes: string[] } | null;
}

export interface NewAccount {
  name: string;
  display_name: string;
  role: Role;
  password: string;
}

export interface AuditPage {
  events: AuditEvent[];
}
