-- What a centre keeps. SQLite and PostgreSQL both take this text: times are nanoseconds since 1970 (UTC), flags 0 or 1,
-- lists and details JSON text. Never changed once released: a new matter is a new file.

-- The next number of a row; whoever writes takes it first, so that numbers come in the order of commits.
create table numbers (name text primary key, next bigint not null);
insert into numbers (name, next) values ('rows', 1);

create table incidents (
  seq bigint primary key,
  id text not null unique,
  title text not null,
  folded text not null,
  level bigint not null,
  score bigint not null,
  class text not null,
  first_time bigint not null,
  last_time bigint not null,
  aware_at bigint not null,
  detections bigint not null,
  state text not null,
  owner text,
  merged_into text references incidents (id),
  record text not null
);
-- One index for each order and each filter that a list begins with: a page is read from where it begins, without sorting.
create index incidents_by_last on incidents (last_time, seq) where merged_into is null;
create index incidents_by_score on incidents (score, last_time, seq) where merged_into is null;
create index incidents_of_state_by_last on incidents (state, last_time, seq) where merged_into is null;
create index incidents_of_state_by_score on incidents (state, score, last_time, seq) where merged_into is null;
create index incidents_of_class_by_last on incidents (class, last_time, seq) where merged_into is null;
create index incidents_of_class_by_score on incidents (class, score, last_time, seq) where merged_into is null;
create index incidents_of_owner_by_last on incidents (owner, last_time, seq) where merged_into is null;
create index incidents_of_owner_by_score on incidents (owner, score, last_time, seq) where merged_into is null;
create index incidents_merged on incidents (merged_into) where merged_into is not null;

create table detections (
  seq bigint primary key,
  id text not null unique,
  time bigint not null,
  arrived bigint not null,
  level bigint not null,
  title text not null,
  folded text not null,
  cause text not null,
  kind text not null,
  host text,
  "user" text,
  process text,
  incident text references incidents (id),
  retro bigint not null,
  withheld_by text,
  links text not null,
  facts text not null,
  detail text not null
);
create index detections_by_time on detections (time, seq);
create index detections_of_incident on detections (incident, time, seq) where incident is not null;
create index detections_of_host on detections (host, time, seq) where host is not null;
create index detections_of_cause on detections (cause, time, seq);
-- The grave ones are few: to find them among the others costs nothing.
create index detections_medium on detections (time, seq) where level >= 2;
create index detections_high on detections (time, seq) where level >= 3;
create index detections_critical on detections (time, seq) where level >= 4;
create index detections_retro on detections (time, seq) where retro = 1;

-- How far each source was read, in the words of whoever reads it.
create table marks (name text primary key, value bytea not null);

-- What happened to an incident, in order. What the picture did by itself has no actor.
create table history (
  seq bigint primary key,
  incident text not null references incidents (id),
  at bigint not null,
  actor text,
  act text not null,
  detail text not null,
  replayed bigint not null
);
create index history_of_incident on history (incident, seq);
-- What a rebuilt picture must be told again, in its place among the detections.
create index history_by_hand on history (seq) where replayed = 1;

create table notes (
  seq bigint primary key,
  incident text not null references incidents (id),
  at bigint not null,
  author text not null,
  text text not null
);
create index notes_of_incident on notes (incident, seq);

create table tasks (
  seq bigint primary key,
  incident text not null references incidents (id),
  at bigint not null,
  author text not null,
  title text not null,
  done_at bigint,
  done_by text
);
create index tasks_of_incident on tasks (incident, seq);

-- The bytes lie in a folder of the centre, under their digest.
create table evidence (
  seq bigint primary key,
  incident text not null references incidents (id),
  at bigint not null,
  author text not null,
  sha256 text not null,
  name text not null,
  bytes bigint not null
);
create index evidence_of_incident on evidence (incident, seq);

-- Exclusions and silences; those that were taken back stay.
create table tunings (
  seq bigint primary key,
  id text not null unique,
  kind text not null,
  definition text not null,
  at bigint not null,
  author text not null,
  until bigint,
  removed_at bigint,
  removed_by text
);

-- Every list of assets that was ever in force; the last one is.
create table assets (
  seq bigint primary key,
  at bigint not null,
  author text not null,
  form text not null,
  text text not null
);

create table tokens (
  id text primary key,
  name text not null,
  secret_sha256 text not null,
  role text not null,
  scopes text not null,
  member text,
  nationality text,
  clearances text not null,
  created bigint not null,
  created_by text not null,
  expires bigint,
  revoked bigint,
  last_used bigint
);

-- The link by which the first administrator comes in: one row at most.
create table first_run (id bigint primary key, secret_sha256 text not null, expires bigint not null, used bigint);

create table audit_chain (id bigint primary key, salt text not null);
create table audit (
  seq bigint primary key,
  at bigint not null,
  actor text not null,
  act text not null,
  object text not null,
  detail text not null,
  previous text not null,
  hash text not null
);

create table sources (
  name text primary key,
  kind text not null,
  events bigint not null,
  bytes bigint not null,
  skipped bigint not null,
  lost bigint not null,
  last_event bigint
);
