select * from copy order by id;
