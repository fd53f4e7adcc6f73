create table part_1 (id int, name text);
create table part_2 (note text, id int);
create table part_3 (id int, name text, note text);
create table party (id bigint);
insert into part_1 select n, 'one ' || n from generate_series(1, 300) n;
insert into part_2 select 'note ' || n, n from generate_series(301, 500) n;
insert into part_3 values (501, 'three', 'last');
create table parts (id int, name text, note text);
