create table source (code varchar(12) not null, id int(10) unsigned zerofill not null, b12 bit(12), m mediumint unsigned, n decimal(5,2) unsigned, y year,
  ti time(3), dt datetime(3), ts timestamp null, c char(5), v varchar(20), lat varchar(300) character set latin1, tx text character set latin1,
  bi binary(4), vb varbinary(20), bl blob, e enum('A','it''s','x,y)') character set utf8mb4, st set('x','Y') character set utf8mb4, j json, u uuid, i4 inet4, i6 inet6, g point,
  primary key (code, id));
insert into source values
  ('one', 1, b'101010101010', 16777215, 1.25, 2025, '-100:00:00.125', '2024-02-29 12:30:00.125', '2024-02-29 12:30:00', 'abc', 'äöü', repeat('ü', 3), repeat('ü', 60000),
   x'00010203', x'ff', x'00', 'it''s', 'x,Y', '{"b": 1,  "a": [1.0]}', '123e4567-e89b-12d3-a456-426655440000', '127.0.0.1', '::1', point(1, 2)),
  ('two', 2, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
