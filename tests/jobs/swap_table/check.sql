select id, name, amount, number > 2 from customers order by id;
select * from names order by id;
select * from log;
select count(*) from pg_class where relname like '\_airlock\_swap%';
