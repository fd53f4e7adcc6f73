create table heap (shop int, n int, label text);
insert into heap select case when n % 10 = 0 then n when n % 7 > 0 then 42 end, n, repeat('x', n % 100)
from generate_series(1, 20000) n;
create table copy (like heap);
