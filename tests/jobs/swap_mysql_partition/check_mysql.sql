select * from sales order by ds, kind, id;
select * from log;
select count(*) from information_schema.tables where table_schema = database() and table_name like '\_airlock\_swap%';
