create type mood as enum ('sad', 'ok', 'happy');
create domain positive as int check (value > 0);
create type pair as (a int, b text);
create table source (
  id int primary key, c_bool boolean, c_smallint smallint, c_int int, c_bigint bigint, c_oid oid, c_real real, c_double double precision,
  c_numeric numeric, c_numeric_15_2 numeric(15,2), c_numeric_38_10 numeric(38,10), c_numeric_60_20 numeric(60,20), c_numeric_100 numeric(100,5), c_money money,
  c_char char(5), c_varchar varchar(20), c_text text, c_name name, c_bytea bytea,
  c_date date, c_time time, c_time_0 time(0), c_timetz timetz, c_timestamp timestamp, c_timestamp_0 timestamp(0), c_timestamptz timestamptz, c_interval interval,
  c_uuid uuid, c_json json, c_jsonb jsonb, c_xml xml, c_inet inet, c_cidr cidr, c_macaddr macaddr, c_macaddr8 macaddr8,
  c_bit bit(5), c_varbit bit varying(20), c_point point, c_box box, c_path path, c_polygon polygon, c_circle circle, c_line line, c_lseg lseg,
  c_int4range int4range, c_numrange numrange, c_tstzrange tstzrange, c_daterange daterange, c_multirange int4multirange,
  c_tsvector tsvector, c_tsquery tsquery, c_enum mood, c_domain positive, c_composite pair,
  c_int_array int[], c_text_array text[], c_numeric_array numeric(10,2)[], c_date_array date[], c_enum_array mood[], c_matrix int[][], c_lsn pg_lsn
);
insert into source values
 (1, true, 1, 2, 3, 4, 1.5, 2.25, 123456789012345678901234567890.123456789, 12.50, 1234567890123456789012345678.0123456789, 1234567890123456789012345678901234567890.01234567890123456789, 3.14159, 12.34,
  'ab', 'varchar', E'text with\ttab, "quotes", \\ and\nline', 'name', '\x00ff10',
  '2025-10-31', '12:34:56.789012', '12:34:56', '12:34:56.789+05:30', '2025-10-31 12:34:56.789012', '2025-10-31 12:34:56', '2025-10-31 12:34:56.789012+02', '1 year 2 mons -3 days 04:05:06.789',
  '01234567-89ab-cdef-0123-456789abcdef', '{"a": 1,  "b": [null]}', '{"a": 1, "b": [null]}', '<a b="c">d</a>', '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
  '10101', '1100110', '(1.5,2.5)', '(3,4),(1,2)', '[(1,2),(3,4)]', '((1,2),(3,4),(5,6))', '<(1,2),3>', '{1,2,3}', '[(1,2),(3,4)]',
  '[1,10)', '(1.5,2.5]', '["2025-01-01 00:00:00+00","2025-02-01 00:00:00+00")', '[2025-01-01,2025-02-01)', '{[1,3),[5,8)}',
  'a fat cat', 'fat & cat', 'happy', 7, '(1,"x,y")',
  '{1,NULL,3}', '{"a,b",NULL,"q\"","NULL",""}', '{1.10,NULL}', '{2025-10-31}', '{sad,happy}', '{{1,2},{3,4}}', '16/B374D848');
insert into source (id) values (2);
insert into source (id, c_smallint, c_int, c_bigint, c_oid, c_real, c_double, c_numeric, c_numeric_15_2, c_numeric_38_10, c_text, c_bytea, c_char, c_date, c_time, c_timestamp, c_timestamptz, c_interval, c_int_array, c_text_array, c_numrange, c_money)
 values (3, -32768, -2147483648, -9223372036854775808, 4294967295, -3.4028235e38, 5e-324, -0.00000000000000000001, -9999999999999.99, -9999999999999999999999999999.9999999999, '', '', '', '0001-01-01', '00:00:00', '0001-01-01 00:00:00', '1900-01-01 00:00:00+00', '-178000000 years', '{}', '{}', 'empty', -92233720368547758.08),
        (4, 32767, 2147483647, 9223372036854775807, 0, 3.4028235e38, 1.7976931348623157e308, 1e30, 9999999999999.99, 0, '數據 🚀', '\x', 'ü', '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '178000000 years', '{7,8}', '{x}', '(,)', 92233720368547758.07);
create table copy (like source);
create table through (like source);
