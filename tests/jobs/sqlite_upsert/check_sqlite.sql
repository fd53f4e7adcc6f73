select * from people order by id;
