select * from orders order by id;
