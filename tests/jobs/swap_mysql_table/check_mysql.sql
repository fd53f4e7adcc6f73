select id, name, amount, number > 2 from customers order by id;
select * from names order by id;
select what, count(*) from log group by what order by what;
select count(*) from information_schema.tables where table_schema = database() and table_name like '\_airlock\_swap%';
