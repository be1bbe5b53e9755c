-- What a picture let go of it lets go of again when it is rebuilt, in the same place.
create table forgotten (
    seq bigint not null primary key,
    moment bigint not null
);
