-- The picture as it was at a place, in parts, so that it need not be built anew from all that there is.
create table saved_picture (
    part bigint not null primary key,
    seq bigint not null,
    bytes bytea not null
);
