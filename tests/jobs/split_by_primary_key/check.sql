select count(*) from (table numbers except all table copy) x;
select count(*), sum(id) from copy;
