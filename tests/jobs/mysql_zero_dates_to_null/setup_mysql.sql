create table days (id int primary key, day date not null, at datetime);
set sql_mode = '';
insert into days values (1, '0000-00-00', '0000-00-00 00:00:00'), (2, '2020-01-02', '2020-01-02 03:04:05');
