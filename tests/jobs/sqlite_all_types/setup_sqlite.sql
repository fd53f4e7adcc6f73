create table every (
  id integer primary key, n bigint not null, r real, d decimal(10,2), big decimal_text(38,10), num numeric,
  t text, v varchar(3), b blob, flag boolean, day date, at datetime, z timestamptz, clock time, j json, bare, word string
);
insert into every values (1, 9223372036854775807, 1.5, 12.5, '1234567890123456789012345678.0123456789', 0.1,
  'text', 'longer than three', x'00ff', 1, '2024-02-29', '2024-02-29 12:30:00.123456', '2024-02-29T12:30:00+02:00', '23:59:59.5', '{"a": [1]}', 7, 'word');
insert into every values (2, -9223372036854775808, 1e300, -0.05, '-1', 12345678901234567890, '', '', x'', 0, '0000-01-01', '9999-12-31',
  '1970-01-01 00:00:00Z', '00:00', '[]', null, '1e5');
insert into every values (3, 0, 9e999, 7, '0', 'many', 'a' || char(0) || 'b', 'äöü', zeroblob(300), null, '9999-12-31', '1969-12-31T23:59:59', null, null, '12', 2.5, null);
insert into every (id, n) values (4, 4);
insert into every (id, n) values (5, 1.5);
insert into every (id, n) values (6, 'six');
insert into every (id, n, d) values (7, 7, 0.125);
insert into every (id, n, t) values (8, 8, x'ff');
insert into every (id, n, t) values (9, 9, cast(x'ff' as text));
insert into every (id, n, flag) values (10, 10, 2);
insert into every (id, n, day) values (11, 11, '2023-02-29');
insert into every (id, n, at) values (12, 12, 1700000000);
insert into every (id, n, b) values (13, 13, 'text');
insert into every (id, n, r) values (14, 14, 'nan');
insert into every (id, n, bare) values (15, 15, x'00');
insert into every (id, n, d) values (16, 16, 1e15);
