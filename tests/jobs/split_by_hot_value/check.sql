select count(*) from ((table heap except all table copy) union all (table copy except all table heap)) x;
select shop, count(*), sum(n) from copy group by shop having count(*) > 1 order by shop;
