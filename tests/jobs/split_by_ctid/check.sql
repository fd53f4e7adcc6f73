select count(*) from (table heap except all table copy) x;
select count(*), sum(n) from copy;
