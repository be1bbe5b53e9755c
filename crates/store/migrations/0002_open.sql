-- Incidents that are not closed are what people look at first: they have a column and indexes of their own.
alter table incidents add column open bigint not null default 1;
update incidents set open = 0 where state like 'closed%';
create index incidents_open_by_last on incidents (open, last_time, seq) where merged_into is null;
create index incidents_open_by_score on incidents (open, score, last_time, seq) where merged_into is null;

-- Answers that were given, so that a request that is sent again is not done again.
create table requests (
  actor text not null,
  key text not null,
  digest text not null,
  at bigint not null,
  status bigint not null,
  body bytea not null,
  primary key (actor, key)
);
create index requests_by_age on requests (at);
