create table kinds (id int primary key, whole text, price numeric(10,4), day date, instant timestamptz, millis bigint, wrong double precision, flag text, numbers int[]);
insert into kinds values
  (1, '1.9', 1.2345, '2025-01-31', '2025-01-31 02:00:00.5Z', 0, null, 'TRUE', '{1,null,2}'),
  (2, '-7', -1.2350, null, 'infinity', 1500, null, 'false', '{}'),
  (3, 'x', null, null, null, null, null, null, null),
  (4, null, null, null, null, null, 1.5, null, null),
  (5, null, null, null, null, null, null, 'yes', null);
create table other (id bigint primary key, whole int, price numeric(10,2), day_millis bigint, instant text, millis timestamp, wrong date, flag boolean, numbers bigint[]);
