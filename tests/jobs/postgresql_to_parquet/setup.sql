create table people (id int primary key, code text, born date, size numeric(8,3), note text);
insert into people values (1, '007', '1815-12-10', 1.650, 'a,"b"'), (2, '', '1906-12-09', null, E'two\nlines'), (3, null, null, 0.001, '數據');
