create table source (id bigint primary key, name varchar(50) collate utf8mb4_general_ci not null, part int null, key (name), key (part));
create table target (id bigint primary key, name varchar(50) collate utf8mb4_general_ci, part int);
insert into source select cast(seq as signed) * 1000003 - 5000000000, concat(char(97 + seq % 26), case when seq % 3 = 0 then 'Ä' when seq % 3 = 1 then 'a' else 'A' end, seq), if(seq % 10 < 3, null, if(seq % 10 < 8, 5, seq)) from seq_1_to_9000;
analyze table source;
