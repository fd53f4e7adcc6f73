select count(*), count(distinct id), sum(id), sum(amount), min(ds), max(ds) from orders_all;
select id div 1000, count(*) from orders_all group by 1 order by 1;
