create table target (id int primary key, n int, note varchar(20) default 'new');
insert into target values (2, 20, 'old'), (3, 30, 'old'), (9, 90, 'old');
