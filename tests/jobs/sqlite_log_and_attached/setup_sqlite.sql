attach 'old.db' as old;
create table old.orders (code text primary key, amount integer, grp integer) without rowid;
insert into old.orders with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000)
  select 'code ' || i, i, case when i % 10 = 0 then null else i % 7 end from n;
pragma journal_mode = wal;
create table orders (rowid text, amount integer);
pragma wal_checkpoint(truncate);
insert into orders with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
  select 'row ' || i, i from n;
