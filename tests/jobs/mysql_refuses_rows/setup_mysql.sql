create table guarded (id int primary key, n bigint check (n >= 0), name varchar(6));
insert into guarded values (700, 0, 'there');
