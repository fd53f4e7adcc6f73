create table source (id int primary key, b1 bit(1), b12 bit(12), b64 bit(64), t tinyint, tu tinyint unsigned, s smallint, su smallint unsigned,
  m mediumint, mu mediumint unsigned, i int, iu int unsigned, l bigint, lu bigint unsigned, f float, d double, n decimal(65,30), n2 decimal(10,2),
  y year, da date, ti time, ti6 time(6), dt datetime, dt6 datetime(6), ts timestamp null, ts6 timestamp(6) null,
  c char(5), v varchar(20), tt tinytext, tx text, lt longtext, l1 varchar(20) character set latin1, ci varchar(20) collate utf8mb4_general_ci,
  bi binary(4), vb varbinary(20), bl blob, lb longblob, e enum('a','b','ü'), st set('x','y','z'), j json, g point);
create table target (id int primary key, b1 bit(1), b12 bit(12), b64 bit(64), t tinyint, tu tinyint unsigned, s smallint, su smallint unsigned,
  m mediumint, mu mediumint unsigned, i int, iu int unsigned, l bigint, lu bigint unsigned, f float, d double, n decimal(65,30), n2 decimal(10,2),
  y year, da date, ti time, ti6 time(6), dt datetime, dt6 datetime(6), ts timestamp null, ts6 timestamp(6) null,
  c char(5), v varchar(20), tt tinytext, tx text, lt longtext, l1 varchar(20) character set latin1, ci varchar(20) collate utf8mb4_general_ci,
  bi binary(4), vb varbinary(20), bl blob, lb longblob, e enum('a','b','ü'), st set('x','y','z'), j json, g point);
insert into source values
  (1, b'1', b'101010101010', 18446744073709551615, -128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, -9223372036854775808, 18446744073709551615,
   1.1754944e-38, 1.7976931348623157e308, 12345678901234567890123456789012345.123456789012345678901234567890, -0.05, 1901, '0001-01-01', '-838:59:59', '838:59:58.999999',
   '1000-01-01 00:00:00', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', '2038-01-19 03:14:07.999999', 'abc', 'trailing  ', 'tiny', 'it''s a \\ "quote"', repeat('數', 5000), 'äöü', 'Ünïcode 😀',
   x'00010203', x'', x'00ff27', repeat(x'5c', 5000), 'ü', 'x,z', '{"a": [1, null, "b"]}', point(1, -2.5)),
  (2, b'0', 0, 0, 127, 0, 32767, 0, 8388607, 0, 2147483647, 0, 9223372036854775807, 9223372036854775808,
   0.1, 0.1, -0.000000000000000000000000000001, 99999999.99, 2155, '9999-12-31', '00:00:00', '-00:00:00.000001',
   '2024-02-29 12:34:56', '2024-02-29 12:34:56.5', '2001-02-03 04:05:06', '2001-02-03 04:05:06.000001', '', '', '', '', '', '', '',
   x'ffffffff', x'27', '', '', 'a', '', '[]', point(0, 0)),
  (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
