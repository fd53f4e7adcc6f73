create table items (id bigint unsigned primary key, name varchar(50) not null, price decimal(12,4), seen datetime(6), made timestamp(6) null, data blob, flag bit(1), lasts time(3));
insert into items select seq, concat('item ', seq), seq / 7, date_add('2020-01-01', interval seq second), date_add('2020-01-01', interval seq second), unhex(hex(seq)), seq % 2, sec_to_time(seq) from seq_1_to_3000;
analyze table items;
