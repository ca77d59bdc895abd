/** What the server answers: the shapes of its JSON. Times are ISO 8601, lengths of time seconds. */

export type Role = 'viewer' | 'reviewer' | 'administrator';
export type Review = 'open' | 'accepted' | 'edited' | 'rejected' | 'second opinion' | 'disagreement';
export type Verdict = 'accepted' | 'rejected' | 'second opinion';

export interface Session {
  account: {
    name: string;
    display_name: string;
    role: Role;
    /** Whether somebody else has chosen its password. */
    must_change: boolean;
    is_local: boolean;
  };
  csrf: string;
  expires_at: string;
  idle_s: number;
}

export interface LoginOptions {
  local: boolean;
  oidc: { name: string } | null;
}

export interface Row {
  job_id: string;
  analysis: string;
  study_instance_uid: string | null;
  patient: { name: string; id: string; birth_date: string | null; sex: string | null } | null;
  study: { date: string | null; description: string | null; accession_number: string | null } | null;
  series_description: string | null;
  bundle: { name: string; version: string; digest: string };
  lane: string;
  priority: number;
  done_at: string | null;
  uncertainty: { name: string; value: number; rank: number; flagged: boolean } | null;
  review: Review;
  readings: number;
  destinations: { name: string; state: string }[];
}

export interface Worklist {
  total: number;
  revision: number;
  /** False while the server still reads results that it will list. */
  complete: boolean;
  rows: Row[];
}

export interface Facet {
  value: string;
  count: number;
}

export interface Facets {
  analyses: Facet[];
  versions: Facet[];
  scanners: Facet[];
  destinations: Facet[];
  reviews: Facet[];
}

export interface SavedView {
  name: string;
  query: Record<string, string>;
}

export interface Measurement {
  name: string;
  label: string;
  value: number | null;
  unit: string;
  slice: number | null;
  segment: string | null;
}

export interface Reading {
  reviewer: string;
  verdict: string;
  reason: string | null;
  words: string | null;
  at: string;
  successor_job_id: string | null;
}

export interface Member {
  name: string;
  u_pp: number | null;
  plausible: boolean;
  segmentation: string | null;
}

/** A point in the patient [mm, LPS+]. */
export type Lps = [number, number, number];

export interface InsertionPoints {
  anterior: Lps;
  inferior: Lps;
}

export interface Trust {
  verdict: string;
  failure_probability: number | null;
  against: string[];
}

export interface Slice {
  index: number;
  chosen: string;
  members: Member[];
  curves: { t: (number | null)[]; t_unit: string; unit: string; series: { name: string; values: (number | null)[] }[] } | null;
  insertions: InsertionPoints | null;
  trust: Trust | null;
  residual_motion_mm: number | null;
}

export interface Flow {
  basis: string | null;
  refused: string | null;
  estimates: {
    method: string;
    flow_ml_min_g: number;
    low_ml_min_g: number | null;
    high_ml_min_g: number | null;
  }[];
}

export interface Bullseye {
  state: 'rest' | 'stress' | null;
  measure: string;
  unit: string;
  segments: { id: number; name: string; value: number | null }[];
}

export interface Perfusion {
  source: string | null;
  segmentation: string | null;
  uncertainty: string | null;
  t_seconds: number[] | null;
  slices: Slice[];
  bullseye: Bullseye | null;
  paired: { job_id: string; state: string } | null;
  flow: Flow | null;
}

export interface Reconstruction {
  images: { name: string; label: string; url: string }[];
  uncertainty: string | null;
  coverage: string | null;
  residual: string | null;
  figures: { name: string; value: number | null; unit: string }[];
}

export interface Segment {
  start_s: number;
  end_s: number;
  phase: string;
}

export interface PredictedSegment extends Segment {
  confidence: number | null;
  uncertainty: number | null;
  needs_review: boolean;
}

export interface Phases {
  video: string | null;
  duration_s: number;
  procedure: string;
  phases: { name: string; label: string; colour?: string | null }[];
  segments: PredictedSegment[];
  views: { start_s: number; end_s: number; kind: string }[];
  seconds: {
    step_s: number;
    phase: (string | null)[];
    confidence: (number | null)[];
    uncertainty: (number | null)[];
  };
}

export interface Anticipation {
  next: { phase: string; probability: number }[];
  remaining_s: { median: number; low: number; high: number } | null;
  prior: unknown[];
}

export interface Job extends Omit<Row, 'readings'> {
  measurements: Measurement[];
  notes: string[];
  artifacts: { kind: string; url: string; sop_instance_uid: string | null }[];
  readings: Reading[];
  may: { judge: boolean; edit: boolean; why_not: string | null };
  predecessor_id: string | null;
  successor_ids: string[];
  perfusion?: Perfusion | null;
  reconstruction?: Reconstruction | null;
  phases?: Phases | null;
}

export interface Reason {
  code: string;
  label: string;
  analyses: string[];
}

export interface Group {
  key: string;
  readings: number;
  accepted: number;
  edited: number;
  rejected: number;
}

export interface Statistics {
  by_version: Group[];
  by_scanner: Group[];
  by_week: Group[];
  calibration: { low: number; high: number; readings: number; accepted: number }[];
  release: { threshold: number; released_share: number; risk: number; risk_upper: number }[];
}

export interface Account {
  name: string;
  display_name: string;
  role: Role;
  /** Whether it may sign in. */
  enabled: boolean;
  is_local: boolean;
}

export interface AuditEvent {
  number: number;
  at: string;
  action: string;
  outcome: string;
  actor: string;
  role: string | null;
  address: string | null;
  subject: string | null;
  details: Record<string, unknown> | null;
}
