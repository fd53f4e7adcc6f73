create table source (id int primary key, narrow numeric(15,2), wide numeric(50,3));
insert into source values (1, 'NaN', 'NaN'), (2, 1.25, -1.5), (3, null, null);
create table copy (like source);
