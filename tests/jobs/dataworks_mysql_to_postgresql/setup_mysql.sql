create table orders (id bigint primary key, customer_id int unsigned, amount decimal(12,2), status varchar(20), updated_at datetime(6), key (updated_at));
insert into orders select seq, seq % 97, seq / 3, elt(1 + seq % 3, 'new', 'paid', 'sent'), '2025-10-30' + interval seq minute from seq_1_to_4000;
analyze table orders;
