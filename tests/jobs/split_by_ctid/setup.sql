create table heap (n int, label text);
insert into heap select n, repeat('x', n % 100) from generate_series(1, 20000) n;
delete from heap where n % 3 = 0;
analyze heap;
create table copy (like heap);
