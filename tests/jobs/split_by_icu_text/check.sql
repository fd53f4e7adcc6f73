select count(*) from (table words except all table copy) x;
select count(*), sum(n) from copy;
