create table numbers (id bigint primary key, label text);
insert into numbers select n, repeat('x', n % 100) from generate_series(1, 20000) n;
create table copy (like numbers);
