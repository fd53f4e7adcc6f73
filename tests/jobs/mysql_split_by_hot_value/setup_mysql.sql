create table source (id bigint, name varchar(50) not null, part varchar(9) collate utf8mb4_general_ci null, primary key (name, id), key (part));
create table target (id bigint primary key, name varchar(50), part varchar(9));
insert into source select seq, concat('name ', seq), if(seq % 10 < 2, null, if(seq % 10 < 8, if(seq % 2, 'hot', 'HOT'), seq)) from seq_1_to_9000;
analyze table source;
