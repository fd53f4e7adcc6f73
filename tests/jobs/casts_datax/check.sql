select * from other order by id;
