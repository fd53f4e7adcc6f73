create table source (id int primary key, hours interval, months interval);
insert into source values
 (1, '1 day 02:00:00', '1 year 2 mons'),
 (2, '1 day 02:03:00', null),
 (3, null, '1 mon 3 days'),
 (4, '-1 days -02:00:00', '-1 mons'),
 (5, null, null);
create table copy (id int primary key, hours interval day to hour, months interval year to month);
