select count(*) from (table people except all table copy) x;
select * from copy order by id;
