create table people (id integer not null, code text, ds integer not null);
create unique index people_code on "people" (ds, code);
create view all_people as select * from people;
insert into people values (1, 'old', 20251031), (2, 'old', 20251030);
