create table source (id integer primary key, n bigint, d decimal(12,2), t text, b blob, at datetime, j json);
insert into source with recursive n (i) as (select 1 union all select i + 1 from n where i < 12000)
  select i * 3, i * 1000000007, i / 4.0, 'text ' || i, case when i = 5 then zeroblob(300000) when i % 3 = 0 then zeroblob(i % 50) end, datetime(i * 100000, 'unixepoch'), json_object('i', i) from n;
