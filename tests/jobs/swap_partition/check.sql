select * from sales order by ds, kind, id;
select * from log;
select count(*) from pg_class where relname like '\_airlock\_swap%';
