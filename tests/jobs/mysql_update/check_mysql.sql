select * from target order by id;
