create table numbers (id bigint, label text);
insert into numbers select n * 7 - 3000, 'label ' || n from generate_series(1, 1000) n;
insert into numbers values (null, 'no key'), (9223372036854775807, 'largest'), (-9223372036854775808, 'smallest');
create table copy (like numbers);
