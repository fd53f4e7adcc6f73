create table kinds (id bigint primary key, i int, d double precision, r real, n numeric(5,2), day date, moment timestamp, instant timestamptz, time time, u uuid, flag boolean);
