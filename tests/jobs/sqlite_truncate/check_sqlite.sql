select * from people order by id; select * from log;
