create table people (id bigint primary key, code text, note text default 'new') without rowid;
insert into people values (2, 'old', 'kept'), (4, 'four', 'kept');
