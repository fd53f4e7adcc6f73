create table part_1 (id int, name varchar(20));
create table part_2 (note varchar(20), id int);
create table part_3 (id int, name varchar(20), note varchar(20));
create table party (id bigint);
create table Part_4 (id bigint);
insert into part_1 select seq, concat('one ', seq) from seq_1_to_300;
insert into part_2 select concat('note ', seq), seq from seq_301_to_500;
insert into part_3 values (501, 'three', 'last');
create table parts (id int, name varchar(20), note varchar(20));
