create table people (id int primary key, code varchar(9), born date, size decimal(8,3), at timestamp(3) null, note text);
insert into people values (1, '007', '1815-12-10', 1.650, '2025-10-01 08:00:00.125', 'a,"b"'), (2, '', '1906-12-09', null, null, 'two\nlines'), (3, null, null, 0.001, null, '數據');
set sql_mode = '';
insert into people values (4, 'zero', '0000-00-00', 1, null, 'no day'), (5, 'part', '2020-00-01', 1, null, 'no month');
