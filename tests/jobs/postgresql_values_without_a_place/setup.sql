create table source (id int primary key, c_timestamp timestamp, c_timestamptz timestamptz, c_numeric_15_2 numeric(15,2), c_array int[]);
insert into source values
 (1, '2025-10-31', '2025-10-31 00:00:00+00', 1.00, '{7,8}'),
 (2, '294276-12-31 23:59:59.999999', null, null, null),
 (3, null, '294276-12-31 23:59:59.999999+00', null, null),
 (4, null, null, 'NaN', null),
 (5, null, null, null, '[0:1]={7,8}');
create table copy (like source);
