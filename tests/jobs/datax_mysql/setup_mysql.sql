create table people (id int primary key, name text);
insert into people values (1, 'ada'), (2, null), (3, 'grace'), (100, 'never');
create table people_copy (id int, name text, tag text, note text);
insert into people_copy values (9, 'old', 'o', 'o');
