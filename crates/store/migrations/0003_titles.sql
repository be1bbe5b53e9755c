-- A search for a part of a title looks at each incident of a list: with the title in the list's index it reads no rows for that.
-- PostgreSQL has room for 2,704 bytes in a row of an index, 256 characters are 1,024 at most.
update incidents set folded = substr(folded, 1, 256) where length(folded) > 256;
update detections set folded = substr(folded, 1, 256) where length(folded) > 256;
drop index incidents_by_last;
drop index incidents_by_score;
drop index incidents_of_state_by_last;
drop index incidents_of_state_by_score;
drop index incidents_of_class_by_last;
drop index incidents_of_class_by_score;
drop index incidents_of_owner_by_last;
drop index incidents_of_owner_by_score;
drop index incidents_open_by_last;
drop index incidents_open_by_score;
create index incidents_by_last on incidents (last_time, seq, folded) where merged_into is null;
create index incidents_by_score on incidents (score, last_time, seq, folded) where merged_into is null;
create index incidents_of_state_by_last on incidents (state, last_time, seq, folded) where merged_into is null;
create index incidents_of_state_by_score on incidents (state, score, last_time, seq, folded) where merged_into is null;
create index incidents_of_class_by_last on incidents (class, last_time, seq, folded) where merged_into is null;
create index incidents_of_class_by_score on incidents (class, score, last_time, seq, folded) where merged_into is null;
create index incidents_of_owner_by_last on incidents (owner, last_time, seq, folded) where merged_into is null;
create index incidents_of_owner_by_score on incidents (owner, score, last_time, seq, folded) where merged_into is null;
create index incidents_open_by_last on incidents (open, last_time, seq, folded) where merged_into is null;
create index incidents_open_by_score on incidents (open, score, last_time, seq, folded) where merged_into is null;
