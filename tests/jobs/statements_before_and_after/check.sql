select * from orders order by id;
select what from log order by id;
