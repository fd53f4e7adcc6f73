create table source (id int primary key, c_date date, c_time time, c_timestamp timestamp, c_timestamptz timestamptz, c_real real, c_double double precision, c_numeric numeric, c_numeric_15_2 numeric(15,2));
insert into source values
 (1, 'infinity', '24:00', 'infinity', 'infinity', 'infinity', 'infinity', 'infinity', 2),
 (2, '-infinity', '00:00', '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', 1),
 (3, '4713-01-01 BC', '23:59:59.999999', '4713-01-01 00:00:00 BC', '4713-01-02 00:00:00 BC', 'NaN', 'NaN', 'NaN', 3),
 (4, '5874897-12-31', '00:00:00.000001', '294246-12-31 23:59:59.999999', '294246-12-31 23:59:59.999999+00', '-0', '-0', 0, -0.00),
 (5, '1970-01-01', null, '1969-12-31 23:59:59.999999', '1582-10-15 00:00:00+00', 1e-45, 4.9e-324, 1e1000, null);
create table copy (like source);
create table through (like source);
