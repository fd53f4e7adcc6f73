create table log (rows int); create table people (id integer primary key, name text); insert into people values (1, 'old'), (7, 'older');
